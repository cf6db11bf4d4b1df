"""How long the runs that are left of a study would take on its devices."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RunsLeft:
    """What is left of one search (an arm in a fold) and of the runs that follow it."""

    trials: int
    """Trials that have not begun."""
    trial_seconds: float
    """What a trial takes."""
    repeats: int
    """Audits and final runs that have not begun. They begin when all trials of the search have ended."""
    repeat_seconds: float
    """What an audit or a final run takes."""
    parallel_trials: int = 1
    """Trials of the search that run at a time."""
    running_trials: tuple[float, ...] = ()
    """Seconds that each running trial still takes."""
    running_repeats: tuple[float, ...] = ()
    """Seconds that each running audit or final run still takes."""
    chosen_by: str = ""
    """Name of the search whose choice the repeats wait for; empty where it is this one's own."""

    @property
    def runs(self) -> int:
        """The number of runs that have not ended."""
        return self.trials + self.repeats + len(self.running_trials) + len(self.running_repeats)

    @property
    def seconds(self) -> float:
        """What all of it takes together on one device."""
        running = sum(self.running_trials) + sum(self.running_repeats)
        return self.trials * self.trial_seconds + self.repeats * self.repeat_seconds + running


def makespan(left: Mapping[str, RunsLeft], devices: int) -> float:
    """Seconds until all runs that are left have ended, if each takes just as long as is expected.

    The search with the most runs left goes first, as in the study itself.

    Args:
        left: what is left of each search, by its name.
        devices: runs at a time.
    """
    return _Schedule(left, devices).run()


def most_trials(planned: int, suffices_for: Callable[[int], bool], least: int = 1) -> int:
    """The largest number of trials of each search for which the time suffices; the least where it does for
    none.

    Args:
        planned: the most there may be.
        suffices_for: whether it does for so many; where it does, it does for fewer.
        least: the fewest there may be.
    """
    low, high = least, planned + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if suffices_for(middle) else (low, middle)
    return low


class _Schedule:
    """The runs that are left, as they would be handed out."""

    def __init__(self, left: Mapping[str, RunsLeft], devices: int) -> None:
        self._left = left
        self._devices = devices
        self._unbegun = {name: each.trials + each.repeats for name, each in left.items()}
        """Runs of each search that have not begun, for the order in which they do."""
        self._trials = {name: each.trials for name, each in left.items()}
        """Trials of each search that are neither begun nor ready."""
        self._open = {name: each.trials + len(each.running_trials) for name, each in left.items()}
        """Trials of each search that have not ended."""
        self._followers: dict[str, list[str]] = {name: [] for name in left}
        for name, each in left.items():
            self._followers[each.chosen_by or name].append(name)
        self._order = itertools.count()
        self._ready: list[tuple[int, int, str, bool]] = []
        """A heap of the runs that can begin; the last value says whether it is a trial."""
        self._events: list[tuple[float, int, str, bool]] = []
        """A heap of the ends of running runs."""

    def run(self) -> float:
        """Goes through all ends in order of time; the time of the last."""
        for name, each in self._left.items():
            for seconds in each.running_trials:
                self._begin(0.0, seconds, name, trial=True)
            for seconds in each.running_repeats:
                self._begin(0.0, seconds, name, trial=False)
            for _ in range(min(each.trials, each.parallel_trials - len(each.running_trials))):
                self._make_trial_ready(name)
            if not self._open[name]:
                self._make_repeats_ready(name)
        now = 0.0
        while True:
            while self._ready and len(self._events) < self._devices:
                _, _, name, trial = heapq.heappop(self._ready)
                each = self._left[name]
                self._unbegun[name] -= 1
                self._begin(now, each.trial_seconds if trial else each.repeat_seconds, name, trial=trial)
            if not self._events:
                return now
            now, _, name, trial = heapq.heappop(self._events)
            if trial:
                self._end_trial(name)

    def _begin(self, now: float, seconds: float, name: str, *, trial: bool) -> None:
        heapq.heappush(self._events, (now + seconds, next(self._order), name, trial))

    def _make_trial_ready(self, name: str) -> None:
        self._trials[name] -= 1
        heapq.heappush(self._ready, (-self._unbegun[name], next(self._order), name, True))

    def _make_repeats_ready(self, chooser: str) -> None:
        """The audits and final runs of all searches that wait for one that has ended."""
        for name in self._followers[chooser]:
            for _ in range(self._left[name].repeats):
                heapq.heappush(self._ready, (-self._unbegun[name], next(self._order), name, False))

    def _end_trial(self, name: str) -> None:
        self._open[name] -= 1
        if self._trials[name] > 0:
            self._make_trial_ready(name)
        elif not self._open[name]:
            self._make_repeats_ready(name)
