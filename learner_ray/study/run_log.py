"""The run log: one line for each start and end of a run, so that others can follow a study while it runs.

It is derived from what the study does and from the runs' own files, and written anew at each start, so that
it can be removed at any time. ``learner_ray.watch`` reads it.
"""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

from learner_ray.core.files import write_atomic
from learner_ray.run.progress import epoch_seconds
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, RunResult
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study_json import RUN_LOG

logger = logging.getLogger(__name__)


class RunLog(Callback):
    """Writes the run log of a study.

    A file that cannot be written is said once and ends no study: what matters lies in the runs' own files.

    Args:
        folder: the study's results folder.
        devices_per_run: devices that train one run.
        price_per_hour: price of a device for an hour; None where it is not known.
    """

    def __init__(
        self, folder: Path, *, devices_per_run: int = 1, price_per_hour: float | None = None
    ) -> None:
        self._path = folder / RUN_LOG
        self._head = {"devices_per_run": devices_per_run, "price_per_hour": price_per_hour}
        self._started: set[str] = set()
        self._training: set[str] = set()
        self._failed = False
        self._followers: dict[str, list[str]] = {}
        """By the name of a search, those that take its choice."""

    def on_begin(self, runner: StudyRunner) -> None:
        """Begins the file with what will run."""
        self._runner = runner
        for name, search in runner.groups.items():
            if search.group.chosen_by:
                self._followers.setdefault(search.group.chosen_by, []).append(name)
        searches = {name: _numbers(search.group) for name, search in runner.groups.items()}
        self._write({**self._head, "searches": searches}, anew=True)

    def on_slots(self, slots: int) -> None:
        self._write({"slots": slots})

    def on_start(self, planned: PlannedRun) -> None:
        self._started.add(planned.label)
        self._write({"start": planned.label, "hash": planned.spec.hash, "epochs": _epochs(planned)})

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """Says when a run began to train: it may have waited for a device."""
        if planned.label in self._training:
            return
        self._training.add(planned.label)
        since = round(time.time() - epoch_seconds(row), 3)
        self._write({"training": planned.label, "since": since}, timed=False)

    def on_end(self, outcome: RunResult) -> None:
        planned = outcome.planned
        line = {
            "end": planned.label,
            "hash": planned.spec.hash,
            "state": outcome.state,
            "reason": outcome.reason,
            "selection_score": outcome.selection_score if math.isfinite(outcome.selection_score) else None,
            "best_epoch": outcome.best_epoch,
            "epochs": outcome.epochs,
            "device_seconds": round(outcome.device_seconds, 3),
        }
        # When a run of an earlier start ended is not known.
        self._write(line, timed=planned.label in self._started)
        if planned.role == "trial":
            self._write_lost(planned.group)

    def _write_lost(self, chooser: str) -> None:
        """Says which searches can have no final run, once that is so."""
        for name in (chooser, *self._followers.get(chooser, ())):
            if self._runner.groups[name].is_hopeless:
                self._write({"lost": name})

    def _write(self, line: dict[str, Any], *, anew: bool = False, timed: bool = True) -> None:
        if self._failed:
            return
        text = json.dumps({**line, **({"at": round(time.time(), 3)} if timed else {})}) + "\n"
        try:
            if anew:
                write_atomic(self._path, text)
            else:
                with open(self._path, "a", encoding="utf-8") as stream:
                    stream.write(text)
        except OSError as error:
            self._failed = True
            logger.warning(f"{self._path} cannot be written ({error.strerror}): watching shows no more of it")


def _numbers(group: FoldSearchSpec) -> dict[str, Any]:
    """How many runs of each role a search has, and what they wait for."""
    return {
        "trials": group.trials,
        "audits": group.audit_runs,
        "finals": group.settings.seeds,
        "parallel_trials": group.settings.parallel_trials,
        "chosen_by": group.chosen_by,
    }


def _epochs(planned: PlannedRun) -> int:
    config = planned.spec.config
    return (config.train.stop_epoch or config.train.epochs) if config.pretrains else 0
