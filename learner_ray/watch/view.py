"""What the live view shows of a study, as plain values for its page. No patient and no scan is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from learner_ray.core.durations import duration
from learner_ray.core.withheld import without_names
from learner_ray.run.progress import epoch_seconds
from learner_ray.run.states import ENDED_BADLY
from learner_ray.watch.curves import Progress, score_of
from learner_ray.watch.events import RunLogReader, RunSeen

State = Literal["waiting", "running", "ended", "interrupted"]

EXAMPLES = 5
"""Runs that are named of those that failed for one reason."""
LONGEST_REASON = 400


@dataclass(frozen=True, kw_only=True)
class FoldView:
    """One search of an arm with its final runs."""

    name: str
    done: int
    total: int
    underway: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class BestView:
    """The best trial of an arm so far."""

    score: str
    label: str
    epoch: int
    of: int
    """Trials with a selection score."""


@dataclass(frozen=True, kw_only=True)
class ArmView:
    """How far an arm is."""

    name: str
    label: str
    control: bool
    done: int
    total: int
    underway: int
    failed: int
    device_time: str
    searched: bool
    """Whether it has trials."""
    best: BestView | None
    folds: Sequence[FoldView]


@dataclass(frozen=True, kw_only=True)
class UnderwayView:
    """A run that is under way."""

    label: str
    epoch: int
    epochs: int
    pace: str
    """Seconds of an epoch; empty where none has ended."""
    devices: str
    utilisation: str
    host: str
    seen: str
    """How long ago its last epoch ended, or it began."""


@dataclass(frozen=True, kw_only=True)
class FailureView:
    """Runs that failed for one reason."""

    state: str
    reason: str
    count: int
    examples: Sequence[str]


def arm_views(log: RunLogReader, arms: Sequence[dict[str, Any]], training: set[str]) -> list[ArmView]:
    """How far each arm is, in the study's order.

    Args:
        log: what has begun and ended.
        arms: the arms of ``study.json``.
        training: labels of the runs that train now.
    """
    of_arm: defaultdict[str, list[str]] = defaultdict(list)
    for search in log.searches:
        of_arm[search.rpartition("/")[0]].append(search)
    runs: defaultdict[str, list[RunSeen]] = defaultdict(list)
    for run in log.runs.values():
        runs[run.search].append(run)
    at_work = Counter(label.rpartition("/")[0] for label in training)
    facts = {arm["name"]: arm for arm in arms}
    return [
        _arm(name, facts.get(name, {}), log, searches, runs, at_work) for name, searches in of_arm.items()
    ]


def _arm(
    name: str,
    facts: dict[str, Any],
    log: RunLogReader,
    searches: Sequence[str],
    runs: dict[str, list[RunSeen]],
    at_work: Counter[str],
) -> ArmView:
    folds = [_fold(search, log, runs.get(search, []), at_work[search]) for search in searches]
    own = [run for search in searches for run in runs.get(search, [])]
    return ArmView(
        name=name,
        label=str(facts.get("label") or name),
        control=bool(facts.get("control")),
        done=sum(fold.done for fold in folds),
        total=sum(fold.total for fold in folds),
        underway=sum(fold.underway for fold in folds),
        failed=sum(fold.failed for fold in folds),
        device_time=duration(sum(run.device_seconds for run in own)),
        searched=any(log.searches[search]["trials"] for search in searches),
        best=_best(own),
        folds=folds,
    )


def _fold(search: str, log: RunLogReader, runs: Iterable[RunSeen], underway: int) -> FoldView:
    states = Counter(run.state for run in runs)
    failed = sum(states[state] for state in ENDED_BADLY)
    done = states.total() - states[""]
    return FoldView(
        name=search.rpartition("/")[2].replace("r", "repeat ").replace("-f", ", fold "),
        done=done,
        total=done if search in log.lost else planned_runs(log.searches[search]),
        underway=underway,
        failed=failed,
    )


def planned_runs(numbers: dict[str, Any]) -> int:
    """The runs of a search: trials, audits and final runs."""
    return sum(int(numbers[role]) for role in ("trials", "audits", "finals"))


def _best(runs: Iterable[RunSeen]) -> BestView | None:
    scored = [run for run in runs if run.role == "trial" and run.selection_score is not None and run.state]
    if not scored:
        return None
    best = max(scored, key=score_of)
    score = f"{score_of(best):.3f}"
    return BestView(score=score, label=best.label, epoch=best.best_epoch, of=len(scored))


def failure_views(runs: Iterable[RunSeen]) -> list[FailureView]:
    """The runs that failed, by reason, the most frequent first. Names of files and scans are left out."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        if run.state in ENDED_BADLY:
            reason = without_names(run.reason)[:LONGEST_REASON] or "no reason was given"
            found[run.state, reason].append(run.label)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [
        FailureView(state=state, reason=reason, count=len(labels), examples=labels[:EXAMPLES])
        for (state, reason), labels in ordered
    ]


def underway_view(run: RunSeen, progress: Progress, devices: int, host: str, now: float) -> UnderwayView:
    """A run that is under way, from its last epoch."""
    last = progress.last
    utilisation = last.get("speed/utilisation")
    seen = max(progress.changed_at, run.begun or 0.0)
    return UnderwayView(
        label=run.label,
        epoch=len(progress.scores),
        epochs=run.epochs,
        pace=f"{epoch_seconds(last):.3g} s" if last else "",
        devices=f"{last.get('devices', devices):g}",
        utilisation="" if utilisation is None else f"{float(utilisation):.0%}",
        host=host,
        seen=f"{duration(max(0.0, now - seen))} ago" if seen else "",
    )


def clock(seconds: float) -> str:
    """A point in time as this machine's clock shows it."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
