"""How long a running study still takes, from the runs that have ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from learner_ray.run.states import ENDED_WELL
from learner_ray.study.forecast import RunsLeft, makespan
from learner_ray.watch.events import RunLogReader, RunSeen

HOW = (
    "Each run that is left is taken to last as long as those of its arm that have ended did on average, "
    "trials apart from final runs and audits; what waits for a search, and how many runs go at a time, is "
    "counted in. "
    "While an arm has no final run, its longest trial stands for one."
)
"""What the forecast rests on, in words."""


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """What is left of a study."""

    seconds: float
    """Until the last run ends."""
    device_seconds: float
    """Device time of all that is left."""


def time_left(log: RunLogReader, now: float) -> TimeLeft | None:
    """The time that is left, or None while no run has ended that tells.

    Args:
        log: what has begun and ended.
        now: the present time, in seconds since 1970.
    """
    devices = _devices_of_a_run(log)
    durations = _Durations(log, devices)
    if not durations.known:
        return None
    by_search: defaultdict[str, list[RunSeen]] = defaultdict(list)
    for run in log.runs.values():
        by_search[run.search].append(run)
    left = {
        name: _left(name, numbers, by_search[name], durations, now, lost=name in log.lost)
        for name, numbers in log.searches.items()
    }
    return TimeLeft(
        seconds=makespan(left, log.slots),
        device_seconds=devices * sum(each.seconds for each in left.values()),
    )


def _devices_of_a_run(log: RunLogReader) -> float:
    """How many devices a run takes, which is less than one where runs share a GPU: as the runs show whose
    seconds of a clock and of a device are both known, and else as the study was told."""
    both = [run for run in log.runs.values() if run.state in ENDED_WELL and run.seconds]
    seconds, device_seconds = sum(run.seconds or 0 for run in both), sum(run.device_seconds for run in both)
    if device_seconds > 0 and seconds > 0:
        return device_seconds / seconds
    return max(1.0, float(log.head.get("devices_per_run") or 1))


def _left(
    name: str,
    numbers: Mapping[str, int | str],
    begun: list[RunSeen],
    durations: _Durations,
    now: float,
    *,
    lost: bool,
) -> RunsLeft:
    """What is left of a search."""
    arm = name.rpartition("/")[0]
    of_kind = {trial: [run for run in begun if (run.role == "trial") == trial] for trial in (True, False)}
    each = {trial: durations.of(arm, trial=trial) for trial in (True, False)}
    running = {
        trial: tuple(
            max(0.0, each[trial] - (now - (run.trains_since or now))) for run in runs if run.underway
        )
        for trial, runs in of_kind.items()
    }
    repeats = 0 if lost else int(numbers["audits"]) + int(numbers["finals"]) - len(of_kind[False])
    return RunsLeft(
        trials=max(0, int(numbers["trials"]) - len(of_kind[True])),
        trial_seconds=each[True],
        repeats=max(0, repeats),
        repeat_seconds=each[False],
        parallel_trials=int(numbers["parallel_trials"]),
        running_trials=running[True],
        running_repeats=running[False],
        chosen_by=str(numbers["chosen_by"]),
    )


class _Durations:
    """How long runs last, in seconds of a clock where that was seen, and else of their devices."""

    def __init__(self, log: RunLogReader, devices: float) -> None:
        self._of: defaultdict[tuple[str, bool], list[float]] = defaultdict(list)
        for run in log.runs.values():
            if run.state in ENDED_WELL:
                seconds = run.device_seconds / devices if run.seconds is None else run.seconds
                self._of[run.arm, run.role == "trial"].append(max(0.0, seconds))
        self._mean = {key: fmean(values) for key, values in self._of.items()}

    @property
    def known(self) -> bool:
        """Whether any run has ended that tells."""
        return bool(self._mean)

    def of(self, arm: str, *, trial: bool) -> float:
        """What a run of an arm takes, in seconds."""
        if (arm, trial) in self._mean:
            return self._mean[arm, trial]
        if not trial and (arm, True) in self._of:
            return max(self._of[arm, True])
        alike = [mean for (_, kind), mean in self._mean.items() if kind == trial]
        return fmean(alike or self._mean.values())
