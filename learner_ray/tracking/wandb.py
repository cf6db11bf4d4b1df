"""Runs in Weights & Biases: a project per study, a group per arm."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learner_ray.run.progress import finite_numbers
from learner_ray.run.states import ENDED_WELL
from learner_ray.tracking.destination import Destination, Row, TrackedRun

FOLDER = "wandb"
"""The folder below the study that takes the runs where nothing else is asked for."""
MODE = "WANDB_MODE"
"""W&B's own environment variable: ``online`` sends runs away while the study runs."""


class Wandb(Destination):
    """W&B without all that it adds of its own: the command line, the machine, its user and its code.

    Args:
        study: the name of the project.
        out: the study's results folder.
    """

    def __init__(self, study: str, out: Path) -> None:
        self._study, self._out = study, out
        self._online = os.environ.get(MODE) in ("online", "shared")
        server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
        self.place = f"{server} (project {study})" if self._online else FOLDER
        self.opened_with = "" if self._online else f"wandb sync {out / FOLDER}/offline-run-*"
        self._running: dict[str, Any] = {}
        """Runs by id."""

    @property
    def is_empty(self) -> bool:
        """Whether W&B's folder below the study is not there."""
        return not self._online and not (self._out / FOLDER).exists()

    def open(self) -> None:
        """Prepares the library; W&B is first asked for something when a run begins."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its crash reports hold paths
        import wandb

        self._wandb = wandb

    def begin(self, run: TrackedRun, earlier: str) -> str:
        """Begins a run; one that did not end is begun anew under its id."""
        if earlier in self._running:
            self._running.pop(earlier).finish(exit_code=1)
        if earlier and not self._online:
            for folder in (self._out / FOLDER).glob(f"offline-run-*-{earlier}"):
                shutil.rmtree(folder)
        run_id = earlier or uuid.uuid4().hex[:12]
        self._running[run_id] = self._wandb.init(
            project=self._study,
            dir=self._out,
            id=run_id,
            name=run.label,
            group=run.arm,
            job_type=run.tags["role"],
            config={**run.parameters, **run.tags},
            mode="online" if self._online else "offline",
            resume="allow" if self._online else None,
            reinit="create_new",
            settings=self._settings(),
        )
        return run_id

    def add(self, run_id: str, rows: Sequence[Row]) -> None:
        """Logs the numbers of each epoch at its step."""
        for row in rows:
            self._running[run_id].log(finite_numbers(row), step=row["epoch"])

    def end(self, run_id: str, state: str) -> None:
        """Ends a run, with our word for its state in its summary."""
        run = self._running.pop(run_id)
        run.summary["state"] = state
        run.finish(exit_code=0 if state in ENDED_WELL else 1)

    def close(self) -> None:
        """Ends what has not ended as failed."""
        for run_id in list(self._running):
            self.end(run_id, "interrupted")

    def _settings(self) -> Any:
        return self._wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            host="",
            username="",
            email="",
            program="",
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
