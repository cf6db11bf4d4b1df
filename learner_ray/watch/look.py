"""One look at a study's results folder: reads what has changed since the last, and says how the study is."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from markupsafe import Markup

from learner_ray.core.durations import duration
from learner_ray.core.locks import held_by, last_holder
from learner_ray.study.study_json import RUN_LOG, read_study
from learner_ray.watch.curves import Progress, ProgressFiles, shown_trials
from learner_ray.watch.drawing import Line, Scale, draw
from learner_ray.watch.events import RunLogReader, RunSeen
from learner_ray.watch.time_left import HOW, TimeLeft, time_left
from learner_ray.watch.view import (
    ArmView,
    FailureView,
    State,
    UnderwayView,
    arm_views,
    clock,
    failure_views,
    underway_view,
)

SILENT_S = 1800.0
"""A sweep on another machine, whose lock cannot be seen from here, counts as running for so long after its
last sign."""
CLOCKS_DIFFER_S = 2.0
"""Between two machines, or a file system and this one."""
LISTED = 32
"""Runs under way that are listed at most."""


@dataclass(frozen=True, kw_only=True)
class CurvesView:
    """The learning curves of one arm."""

    arm: str
    shown: int
    trials: int
    picture: Markup


@dataclass(frozen=True, kw_only=True)
class Look:
    """All that the page shows."""

    name: str
    address: str
    state: State
    headline: str
    facts: Sequence[tuple[str, str, str]]
    """Title, value and a note for each fact of the head."""
    phantom: bool
    metric: str
    done: int
    total: int
    arms: Sequence[ArmView]
    curves: Sequence[CurvesView]
    underway: Sequence[UnderwayView]
    underway_runs: int
    failures: Sequence[FailureView]
    as_of: str


class StudyWatch:
    """A study that is looked at again and again.

    Args:
        folder: its results folder.
        address: the folder as the page names it.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._log = RunLogReader(folder / RUN_LOG)
        self._progress = ProgressFiles(folder.parent / "runs")
        self._study: tuple[tuple[int, int], dict[str, Any]] = ((0, 0), {})

    def look(self, now: float | None = None) -> Look:
        """Reads what has changed.

        Args:
            now: the present time, in seconds since 1970; None for the clock's.

        Raises:
            UserError: ``study.json`` was changed since it was written.
            OSError: a file cannot be read.
        """
        now = time.time() if now is None else now
        study, begun = self._read_study(), self._log.update()
        log, shown = self._log, self._shown()
        handed_out = [run for run in log.runs.values() if run.underway]
        progress = self._progress_of(chain(handed_out, *shown.values()))
        running = [run for run in handed_out if self._trains(run, progress[run.run_hash])]
        arms = arm_views(log, study.get("arms", []), {run.label for run in running})
        done, total = sum(arm.done for arm in arms), sum(arm.total for arm in arms)
        last_sign = max([log.changed_at, *(progress[run.run_hash].changed_at for run in running)])
        state = self._state(begun, done == total, now - last_sign)
        used = sum(run.device_seconds for run in log.runs.values())
        used += sum(progress[run.run_hash].device_seconds for run in running)
        left = time_left(log, now) if state == "running" else None
        return Look(
            name=str(study.get("study", self._folder.name)),
            address=self._address,
            state=state,
            headline=headline(state, done, total, sum(arm.failed for arm in arms), len(running)),
            facts=_facts(log, state, used, left, last_sign),
            phantom=bool((study.get("cohort") or {}).get("phantom")),
            metric=str(study.get("selection_metric", "selection score")),
            done=done,
            total=total,
            arms=arms,
            curves=_curves(shown, progress, log),
            underway=self._underway(running, progress, now) if state == "running" else [],
            underway_runs=len(running),
            failures=failure_views(log.runs.values()),
            as_of=clock(now),
        )

    def _progress_of(self, runs: Iterable[RunSeen]) -> dict[str, Progress]:
        """The progress of runs by their hash; what is known of others is forgotten."""
        found = {run.run_hash: self._progress.of(run.run_hash) for run in runs}
        self._progress.keep(found)
        return found

    def _underway(
        self, running: Sequence[RunSeen], progress: Mapping[str, Progress], now: float
    ) -> list[UnderwayView]:
        devices = int(self._log.head.get("devices_per_run") or 1)
        return [
            underway_view(run, progress[run.run_hash], devices, self._host(run), now)
            for run in running[:LISTED]
        ]

    def _read_study(self) -> dict[str, Any]:
        path = self._folder / "study.json"
        try:
            status = path.stat()
        except FileNotFoundError:
            return {}
        stamp = (status.st_size, status.st_mtime_ns)
        if stamp != self._study[0]:
            self._study = (stamp, read_study(path) or {})
        return self._study[1]

    def _state(self, begun: bool, complete: bool, silent_s: float) -> State:
        holder = held_by(self._folder / ".lock")
        if holder.here or (holder.elsewhere and begun and not complete and silent_s < SILENT_S):
            return "running" if begun else "waiting"
        if not begun:
            return "waiting"
        return "ended" if complete else "interrupted"

    def _shown(self) -> dict[str, list[RunSeen]]:
        """The trials of each arm whose curves are shown, those in front last."""
        trials: defaultdict[str, list[RunSeen]] = defaultdict(list)
        for run in self._log.runs.values():
            if run.role == "trial":
                trials[run.arm].append(run)
        return {arm: shown_trials(runs) for arm, runs in trials.items()}

    def _trains(self, run: RunSeen, progress: Progress) -> bool:
        """Whether a run that was handed out has a device; its process locks its folder first."""
        since = (run.begun or 0.0) - CLOCKS_DIFFER_S
        try:
            locked_at = (self._folder.parent / "runs" / run.run_hash / ".lock").stat().st_mtime
        except FileNotFoundError:
            locked_at = 0.0
        return run.since is not None or max(locked_at, progress.changed_at) >= since

    def _host(self, run: RunSeen) -> str:
        return last_holder(self._folder.parent / "runs" / run.run_hash / ".lock")[0]


def headline(state: State, done: int, total: int, failed: int, underway: int) -> str:
    """How a study is, in a sentence."""
    bad = f", {failed} of them failed or diverged" if failed else ""
    if state == "running":
        return f"Running: {done:,} of {total:,} runs have ended{bad}; {underway:,} under way."
    if state == "ended":
        return f"Ended: all {total:,} runs have ended{bad}."
    if state == "interrupted":
        return f"Not running: {done:,} of {total:,} runs have ended{bad}. The same command goes on."
    return "Waiting: no run has begun. Scans are read first."


def _facts(
    log: RunLogReader, state: State, used: float, left: TimeLeft | None, last_sign: float
) -> list[tuple[str, str, str]]:
    facts = []
    if state == "running":
        said = f"about {duration(left.seconds)}" if left else "not known until a run has ended"
        facts.append(("Time left", said, HOW if left else ""))
    whole = f"about {duration(used + left.device_seconds)} in the end" if left else ""
    facts.append(("Device time", duration(used), whole))
    price = log.head.get("price_per_hour")
    if price:
        end = f"about {price * (used + left.device_seconds) / 3600:,.2f} in the end; " if left else ""
        facts.append(("Cost", f"{price * used / 3600:,.2f}", f"{end}{price:g} per device and hour of use"))
    if state in ("ended", "interrupted"):
        facts.append(("Last sign", clock(last_sign), ""))
    return facts


def _curves(
    shown: Mapping[str, Sequence[RunSeen]], progress: Mapping[str, Progress], log: RunLogReader
) -> list[CurvesView]:
    lines = {arm: _lines(runs, progress) for arm, runs in shown.items()}
    scale = Scale.over([line for own in lines.values() for line in own])
    if scale is None:
        return []
    trials = Counter(run.arm for run in log.runs.values() if run.role == "trial")
    found = []
    for arm, own in lines.items():
        last = [line.scores[-1] for line in own if line.kind == "best" and line.scores]
        described = f"Selection score by epoch of {len(own)} of {trials[arm]} trials of {arm}"
        described += f"; the best one's is {last[-1]:.3f} in its last epoch" if last else ""
        picture = draw(own, scale, described)
        found.append(CurvesView(arm=arm, shown=len(own), trials=trials[arm], picture=picture))
    return found


def _lines(runs: Sequence[RunSeen], progress: Mapping[str, Progress]) -> list[Line]:
    """The curves of an arm: the last one that has ended is its best, see :func:`shown_trials`."""
    best = next((run.label for run in reversed(runs) if not run.underway), "")
    return [
        Line(
            scores=progress[run.run_hash].scores,
            kind="now" if run.underway else "best" if run.label == best else "other",
        )
        for run in runs
        if run.run_hash in progress
    ]
