"""A study on a fake clock: given learning curves in place of training, runs in memory in place of files.

Drives the same runner as the real engine, so that searches, pruners and resuming can be tried on
thousands of trials in seconds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.progress import epoch_seconds
from learner_ray.run.spec import RunSpec
from learner_ray.run.states import State
from learner_ray.study.planned_run import PlannedRun
from learner_ray.study.runner import StudyRunner

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The learning curve that training a run would give."""

    rows: Iterable[Row]
    """Progress rows from the first epoch on; the clock goes by their ``seconds/train`` and
    ``seconds/evaluate``."""
    state: State = "complete"
    """How the run ends after its last row, unless it is stopped before."""
    reason: str = ""


Trainer = Callable[[RunSpec], Curve]


class MemoryRun(RunFolder):
    """A run whose files are kept in memory."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._state: dict[str, Any] | None = None

    @property
    def state(self) -> dict[str, Any] | None:
        return self._state

    def fault(self, run_hash: str, *, models: bool = False) -> str:
        return ""

    def progress(self) -> list[Row]:
        return list(self.rows)

    def finish(self, state: State, reason: str = "") -> None:
        self._state = self._state or {"state": state, "reason": reason}


class MemoryStore(RunStore):
    """Runs in memory, by hash. Shared by two runners it is what the results folder is to two starts."""

    def __init__(self) -> None:
        self._runs: dict[str, MemoryRun] = {}

    def folder(self, run_hash: str) -> MemoryRun:
        return self._runs.setdefault(run_hash, MemoryRun())


def recorded(root: Path) -> Trainer:
    """The curves of the runs that a results root holds.

    The trainer raises LookupError for a run that is not there, and where a run goes on beyond the epoch at
    which it was stopped when it was recorded.
    """
    store = RunStore(root)

    def train(spec: RunSpec) -> Curve:
        run = store.folder(spec.hash)
        if run.state is None:
            raise LookupError(f"{root} has no ended run {spec.hash}")
        rows = run.progress()
        if run.state["state"] == "stopped":
            return Curve(rows=_until_stopped(rows, spec.hash))
        return Curve(rows=rows, state=run.state["state"], reason=run.state["reason"])

    return train


def _until_stopped(rows: list[Row], run_hash: str) -> Iterator[Row]:
    yield from rows
    raise LookupError(
        f"run {run_hash} was stopped at epoch {rows[-1]['epoch']}: what follows is not recorded"
    )


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The time and the epochs that a simulated study took."""

    seconds: float
    """From the first start to the last end, or to the interruption."""
    epochs: int
    """Trained on all devices."""
    interrupted: bool


class FakeTime:
    """The time of a fake clock, in seconds; called, it is the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(
    runner: StudyRunner,
    trainer: Trainer,
    *,
    devices: int,
    until: float = math.inf,
    time: FakeTime | None = None,
) -> Simulated:
    """Runs a runner's runs on a fake clock.

    Args:
        runner: hands out the runs; its store is a :class:`MemoryStore`.
        trainer: gives each run's curve.
        devices: runs at a time.
        until: seconds on the clock after which everything is killed; another runner on the same store
            goes on.
        time: the clock, for a runner with a budget that goes by it; it goes on from where it is. Without it:
            a new one.
    """
    store = runner.store
    if not isinstance(store, MemoryStore):
        raise TypeError("a study is simulated on a MemoryStore: real runs are not to be written over")
    clock = _Clock(runner, time or FakeTime())
    runner.has_slots(devices)
    numbers = itertools.count()
    while True:
        while len(clock.events) < devices and (planned := runner.next_run()) is not None:
            clock.plan(_Running(next(numbers), planned, store.folder(planned.spec.hash), trainer))
        if not clock.events or runner.is_over:
            return Simulated(seconds=clock.time.now, epochs=clock.epochs, interrupted=runner.is_over)
        if clock.events[0].at > until:
            return Simulated(seconds=until, epochs=clock.epochs, interrupted=True)
        clock.advance()


class _Running:
    """A run on a device."""

    def __init__(self, number: int, planned: PlannedRun, run: MemoryRun, trainer: Trainer) -> None:
        self.number = number
        self.planned = planned
        self.run = run
        self.curve = trainer(planned.spec)
        self._rows = iter(self.curve.rows)
        # Like a restarted actor: what was trained is not trained again, but whether the run goes on after
        # its last epoch is not known, so that one is reported again.
        self._known = [next(self._rows) for _ in run.rows][-1:]

    def next_epoch(self) -> tuple[float, Row] | None:
        """Seconds until its end, and its row; None where there is none."""
        if self._known:
            return 0.0, self._known.pop()
        row = next(self._rows, None)
        return None if row is None else (epoch_seconds(row), row)


@dataclass(order=True)
class _Event:
    """The end of a running run's next epoch; of two at one time the earlier started run's comes first."""

    at: float
    number: int
    row: Row = field(compare=False)
    running: _Running = field(compare=False)


class _Clock:
    """The time, and what is about to happen: one event per busy device."""

    def __init__(self, runner: StudyRunner, time: FakeTime) -> None:
        self.time = time
        self.epochs = 0
        self.events: list[_Event] = []
        self._runner = runner

    def plan(self, running: _Running) -> None:
        """Lets a run train its next epoch, or end."""
        epoch = running.next_epoch()
        if epoch is None:
            running.run.finish(running.curve.state, running.curve.reason)
            self._runner.ended(running.planned)
            return
        seconds, row = epoch
        heapq.heappush(self.events, _Event(self.time.now + seconds, running.number, row, running))

    def advance(self) -> None:
        """Goes to the next event."""
        event = heapq.heappop(self.events)
        running, self.time.now = event.running, event.at
        if event.row["epoch"] > len(running.run.rows):
            running.run.rows.append(event.row)
            self.epochs += 1
        if self._runner.row(running.planned, event.row):
            self.plan(running)
        else:
            self._runner.ended(running.planned)
