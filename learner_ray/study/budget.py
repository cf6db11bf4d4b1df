"""Closes the searches of a study where its time does not suffice for all their trials."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from learner_ray.core.durations import duration
from learner_ray.run.progress import epoch_seconds
from learner_ray.study.callback import Limit
from learner_ray.study.forecast import RunsLeft, makespan, most_trials
from learner_ray.study.pace import Pace
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, RunResult

if TYPE_CHECKING:
    from learner_ray.study.arm_search import ArmSearch
    from learner_ray.study.runner import StudyRunner

RESERVE, RESERVED_RUN = 0.1, 0.5
"""Parts of the forecast, and of the longest final run, that are kept back where searches are closed: runs may
take longer than those before, and the last one is alone in that."""
LOOKS = 200
"""How often the forecast is made anew while the time is used up."""


class Budget(Limit):
    """How much time a study has, and how many trials of each search fit into it.

    The searches of all arms and folds are closed at one common number of trials, so that no arm has more than
    another. What decides is time alone, never a score. The study that comes out is, bit for bit, the one that
    was asked for with that number of trials, since no trial depends on later ones.

    Args:
        by: the options that set it, for messages, such as ``--hours 2``.
        seconds: of the clock, from now on.
        device_seconds: of all devices, in all starts of the study together.
        devices_per_run: the devices that each run takes.
        clock: in seconds.
    """

    def __init__(
        self,
        by: str,
        *,
        seconds: float = math.inf,
        device_seconds: float = math.inf,
        devices_per_run: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.by = by
        self.forecast = math.nan
        """Seconds that are left to go at that number."""
        self._clock = clock
        self._begun = clock()
        self._seconds, self._device_seconds = seconds, device_seconds
        self._pace = Pace(devices_per_run)
        self._closed = False

    def on_begin(self, runner: StudyRunner) -> None:
        """Follows a runner: of the whole study, or, once its searches are closed, of what is left of it."""
        self._searches = runner.groups
        self._closed, self.closes_at = self.closes_at is not None or self._closed, None
        self._most = max((group.trials for group in self._groups), default=0)
        self._look_at = 0.0
        """The share of the time at which the forecast is made anew."""
        self._started: dict[str, tuple[float, float, PlannedRun]] = {}
        """By the label of a running run: when it began, the seconds of its epochs since, and the run."""
        self._trials: defaultdict[str, set[int]] = defaultdict(set)
        """The numbers of the trials of each search that have ended."""
        self._repeats: Counter[str] = Counter()
        """The audits and final runs of each search that have ended."""

    def on_start(self, planned: PlannedRun) -> None:
        """Notes when a run begins."""
        self._started[planned.label] = self._clock(), 0.0, planned

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """Learns from an epoch."""
        took = epoch_seconds(row)
        self._pace.take_epochs(planned, row["epoch"], took)
        if planned.label in self._started:
            begun, seconds, _ = self._started[planned.label]
            self._started[planned.label] = begun, seconds + took, planned

    def on_end(self, outcome: RunResult) -> None:
        """Learns from a run that has ended, now or in an earlier start."""
        planned = outcome.planned
        each = outcome.device_seconds / self._pace.devices / max(1, outcome.epochs)
        self._pace.take_epochs(planned, outcome.epochs, each)
        if planned.role == "trial":
            self._trials[planned.group].add(planned.number)
            self._pace.take_trial(outcome.epochs, planned.spec.config.train.epochs)
        else:
            self._repeats[planned.group] += 1
        if planned.label in self._started:
            begun, seconds, _ = self._started.pop(planned.label)
            self._pace.take_overhead(self._clock() - begun - seconds)

    def spend(self, device_seconds: float) -> None:
        """Counts device time of runs of earlier starts that do not count any more."""
        self._pace.device_seconds += device_seconds

    @property
    def has_run_out(self) -> bool:
        """Whether the time is over."""
        return self._used >= 1

    @property
    def _used(self) -> float:
        """The share of the time that is used up."""
        used = (self._clock() - self._begun) / self._seconds
        return max(used, self._pace.device_seconds / self._device_seconds)

    def allows(self, planned: PlannedRun) -> bool:
        """Whether a run may begin. At the first trial for which there is no time the searches are to be
        closed, and ``closes_at`` says where."""
        if planned.role != "trial":
            return True
        if planned.number >= self._most or self._used >= self._look_at:
            self._most, self._look_at = self._most_trials(), self._used + 1 / LOOKS
        if planned.number >= self._most:
            self.closes_at = self._most
            self.forecast = self._seconds_for(self._most)[0]
            return False
        return True

    def __str__(self) -> str:
        """Why the searches are closed, in a sentence."""
        trials = f"{self.closes_at} trial{'' if self.closes_at == 1 else 's'}"
        return (
            f"The searches of all arms and folds close at {trials} each, so that all final "
            f"runs end within {self.by}: about {duration(self.forecast)} to go. study.json and the report "
            "say so; the same command goes on with this number"
        )

    def over(self, runs: int) -> str:
        """What is said when the time is over and some runs are left."""
        return f"The time of {self.by} is over, and {runs} run{'s are' if runs != 1 else ' is'} left"

    def _most_trials(self) -> int:
        """The largest number of trials of each search with which all runs end in time; where none does, the
        trials that have ended in all searches, or one."""
        most = max(group.trials for group in self._groups)
        # What was closed once is closed again only where it would not end in time without the reserve.
        if not self._pace.is_known or self._suffices_for(most, reserves=not self._closed):
            return most
        return most_trials(most, self._suffices_for, least=max(1, self._ended_everywhere()))

    def _ended_everywhere(self) -> int:
        """How many trials, from the first on, have ended in all searches: with fewer no time is spared."""
        searches = [name for name, search in self._searches.items() if search.group.trials]
        ended = (self._trials[name] for name in searches)
        return min(next(n for n in itertools.count() if n not in numbers) for numbers in ended)

    def _suffices_for(self, trials: int, *, reserves: bool = True) -> bool:
        seconds, device_seconds = self._seconds_for(trials)
        if reserves:
            seconds += RESERVE * seconds + RESERVED_RUN * max(self._repeat(each) for each in self._groups)
            device_seconds += RESERVE * device_seconds
        left = self._begun + self._seconds - self._clock()
        return seconds <= left and device_seconds <= self._device_seconds - self._pace.device_seconds

    @property
    def _groups(self) -> list[FoldSearchSpec]:
        return [search.group for search in self._searches.values()]

    def _repeat(self, group: FoldSearchSpec) -> float:
        """What an audit or a final run of a group takes at most."""
        return self._pace.overhead + self._pace.repeat(group)

    def _seconds_for(self, trials: int) -> tuple[float, float]:
        """Seconds and device seconds until all runs have ended, with so many trials of each search."""
        running: defaultdict[str, list[tuple[float, PlannedRun]]] = defaultdict(list)
        for begun, _, planned in self._started.values():
            running[planned.group].append((begun, planned))
        left = {name: self._left(each, trials, running[name]) for name, each in self._searches.items()}
        device_seconds = 0.0
        for each in left.values():
            epochs = max(0.0, each.seconds - self._pace.overhead * each.runs)
            device_seconds += self._pace.devices * epochs
        return makespan(left, self.devices), device_seconds

    def _left(self, search: ArmSearch, trials: int, running: list[tuple[float, PlannedRun]]) -> RunsLeft:
        """What is left of a search, with so many trials; its running runs are given with their beginnings."""
        group, pace = search.group, self._pace
        trial_seconds, repeat_seconds = pace.overhead + pace.trial(group), self._repeat(group)
        going = [self._rest(trial_seconds, begun) for begun, run in running if _is_of(run, trials)]
        repeating = [self._rest(repeat_seconds, begun) for begun, run in running if run.role != "trial"]
        repeats = group.audit_runs + group.settings.seeds
        if search.best is None or search.best.planned.number < trials:
            repeats -= self._repeats[group.name] + len(repeating)
        ended = sum(number < trials for number in self._trials[group.name])
        return RunsLeft(
            trials=max(0, min(trials, group.trials) - ended - len(going)),
            trial_seconds=trial_seconds,
            repeats=max(0, repeats),
            repeat_seconds=repeat_seconds,
            parallel_trials=group.settings.parallel_trials,
            running_trials=tuple(going),
            running_repeats=tuple(repeating),
            chosen_by=group.chosen_by,
        )

    def _rest(self, expected: float, begun: float) -> float:
        """What a running run still takes: a tenth of its time at least, since it may take longer."""
        return max(expected - (self._clock() - begun), expected / 10)


def _is_of(run: PlannedRun, trials: int) -> bool:
    """Whether a run is one of the first trials of its search."""
    return run.role == "trial" and run.number < trials
