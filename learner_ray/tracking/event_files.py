"""TensorBoard's event files, and in one of them the course of an arm's search."""

from __future__ import annotations

import itertools
import math
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from learner_ray.study.planned_run import RunResult

_numbers = itertools.count()
"""Numbers for the event files of this process, so that no two of one second have one name."""


class EventFile:
    """An event file that is open only while an event is added to it.

    TensorBoard's own writer holds a file and a thread until it is closed: with 1,000 runs at a time these
    are more files than a process may open.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._path = folder / f"events.out.tfevents.{name}"
        self._append(Event(wall_time=time.time(), file_version="brain.Event:2"))

    @property
    def exists(self) -> bool:
        """Whether the file is still there."""
        return self._path.exists()

    def add(self, summary: Summary, step: int = 0) -> None:
        """Adds a summary at a step."""
        self._append(Event(wall_time=time.time(), step=step, summary=summary))

    def _append(self, event: Event) -> None:
        with open(self._path, "ab") as file:
            RecordWriter(file).write(event.SerializeToString())


class SearchSummary:
    """The course of an arm's searches in all folds, over the number of the trial.

    A step is written as soon as all searches have ended the trial of that number and those before it, so
    that the curves depend neither on the order in which runs end nor on a restart.

    Args:
        file: where it is written.
        trials: how many each search has, by the name of its group.
    """

    def __init__(self, file: EventFile, trials: Mapping[str, int]) -> None:
        self._file = file
        self._searches = [sum(n > number for n in trials.values()) for number in range(max(trials.values()))]
        """By the number of a trial, how many searches have one."""
        self._ended: dict[int, list[RunResult]] = {}
        """By number, the trials that have ended, of the steps that are not written yet."""
        self._step = 0
        self._best: dict[str, float] = {}
        """The best score so far, by group."""
        self._states: Counter[str] = Counter()
        self._device_seconds = 0.0

    def add(self, outcome: RunResult) -> None:
        """Takes in a trial that has ended."""
        self._ended.setdefault(outcome.planned.number, []).append(outcome)
        while len(ended := self._ended.get(self._step, ())) and len(ended) == self._searches[self._step]:
            self._write(self._ended.pop(self._step))
            self._step += 1

    def _write(self, ended: list[RunResult]) -> None:
        for outcome in sorted(ended, key=lambda each: each.planned.group):
            self._states[outcome.state] += 1
            self._device_seconds += outcome.device_seconds
            if math.isfinite(outcome.selection_score):
                group = outcome.planned.group
                self._best[group] = max(self._best.get(group, -math.inf), outcome.selection_score)
        values = {f"search/{state}": float(n) for state, n in sorted(self._states.items())}
        values["search/device_seconds"] = self._device_seconds
        if self._best:
            best = [self._best[group] for group in sorted(self._best)]
            values["search/best_score_mean"] = math.fsum(best) / len(best)
        self._file.add(
            Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]),
            step=self._step,
        )
