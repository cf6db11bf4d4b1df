"""Hands out the runs of a study and takes in how they end. The engine, which has the devices,
asks it for the next run.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

from learner_ray.run.folder import RunStore
from learner_ray.run.states import ENDED_BADLY
from learner_ray.study.arm_search import ArmSearch, StudyFactory
from learner_ray.study.callback import Callback, Limit
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, RunResult
from learner_ray.study.retry import Retry
from learner_ray.study.study import Space


class StudyRunner:
    """The searches of all groups (one group per arm and fold), and the order in which their runs are handed
    out.

    Args:
        groups: what each search is to do.
        space: asks for the values of a trial.
        store: the folders of all runs.
        optuna_study: makes the Optuna study of a group's name.
        retry: roles of runs that are trained again, once, where they have failed.
        callbacks: are informed of what happens.
        budget: the time that the study has; without it there is no end to it.
    """

    def __init__(
        self,
        groups: Sequence[FoldSearchSpec],
        space: Space,
        store: RunStore,
        optuna_study: StudyFactory,
        retry: Collection[str] = (),
        callbacks: Sequence[Callback] = (),
        budget: Limit | None = None,
    ) -> None:
        self.store = store
        self.budget = budget
        self.callbacks = [*callbacks, *([budget] if budget else [])]
        again = Retry(roles=frozenset(retry))
        made: dict[str, ArmSearch] = {}
        for group in sorted(groups, key=lambda group: bool(group.chosen_by)):  # those that search come first
            chooser = made[group.chosen_by] if group.chosen_by else None
            made[group.name] = ArmSearch(group, space, store, optuna_study(group.name), again, chooser)
        self.groups = {group.name: made[group.name] for group in groups}
        self._followers: dict[str, list[ArmSearch]] = {name: [] for name in self.groups}
        for search in self.groups.values():
            if search.group.chosen_by:
                self._followers[search.group.chosen_by].append(search)
        self._ready: list[tuple[int, int, PlannedRun]] = []
        """A heap of the runs that can start: those whose groups had the most runs left, then the oldest."""
        self._asked = itertools.count()
        self._open = set(self.groups)
        """The groups that have a run left, kept since asking all after each run is slow in a large study."""
        self._announced: dict[str, int] = dict.fromkeys(self.groups, 0)
        # Only a group whose run has ended can have new ones: asking all is slow in a large study.
        self._unasked = deque(self.groups.values())
        for callback in self.callbacks:
            callback.on_begin(self)

    @property
    def is_done(self) -> bool:
        """Whether every run has ended that can be."""
        return not self._open

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to run though runs are left: the time is over, or the searches are to be
        closed and the study to be planned anew."""
        return self.budget is not None and (self.budget.closes_at is not None or self.budget.has_run_out)

    @property
    def remaining(self) -> int:
        """Runs still to end in all groups, the running ones included."""
        return sum(group.remaining for group in self.groups.values())

    @property
    def outcomes(self) -> list[RunResult]:
        """The results of all runs that have ended, group by group."""
        return [outcome for group in self.groups.values() for outcome in group.outcomes]

    @property
    def failed(self) -> list[RunResult]:
        """The results of runs that have failed or diverged."""
        return [outcome for outcome in self.outcomes if outcome.state in ENDED_BADLY]

    @property
    def is_short(self) -> bool:
        """Whether a result is lacking: a run failed, or a final run diverged or can never begin.

        A trial that diverges is a result of the search, which tries what may not work.
        """
        lacking = any(o.state == "failed" or o.planned.role != "trial" for o in self.failed)
        return lacking or any(group.is_hopeless for group in self.groups.values())

    def resume(self) -> bool:
        """Takes in all runs that ended in earlier starts; True where nothing is left to run."""
        self._refill()
        return self.is_done

    def next_run(self) -> PlannedRun | None:
        """A run to start now, or None while all that is left depends on running ones.

        The group with the most runs left goes first, so that no group is left alone at the end with trials
        that must run one after the other.
        """
        self._refill()
        if not self._ready or (self.budget and not self.budget.allows(self._ready[0][-1])):
            return None
        planned = heapq.heappop(self._ready)[-1]
        for callback in self.callbacks:
            callback.on_start(planned)
        return planned

    def _refill(self) -> None:
        while self._unasked:
            group = self._unasked.popleft()
            while (planned := group.next_run()) is not None:
                heapq.heappush(self._ready, (-group.remaining, next(self._asked), planned))
            self._announce(group)

    def _announce(self, group: ArmSearch) -> None:
        """Tells the callbacks of results they have not heard of."""
        known = self._announced[group.group.name]
        for outcome in group.outcomes[known:]:
            for callback in self.callbacks:
                callback.on_end(outcome)
        self._announced[group.group.name] = len(group.outcomes)
        if group.is_done:
            self._open.discard(group.group.name)

    def has_slots(self, slots: int) -> None:
        """Takes in how many runs can go at a time."""
        for callback in self.callbacks:
            callback.on_slots(slots)

    def row(self, planned: PlannedRun, row: dict[str, Any]) -> bool:
        """Takes in an epoch of a running run; False where the pruner stops the trial, which is then over."""
        for callback in self.callbacks:
            callback.on_row(planned, row)
        if not self.groups[planned.group].should_prune(planned, row):
            return True
        self.store.folder(planned.spec.hash).finish("stopped", f"not among the best at epoch {row['epoch']}")
        return False

    def ended(self, planned: PlannedRun) -> None:
        """Takes in that the process of a run has ended. A run that left no state was interrupted."""
        outcome = RunResult.read(planned, self.store.folder(planned.spec.hash))
        if outcome is None:
            return
        group = self.groups[planned.group]
        group.end(outcome)
        followers = self._followers[planned.group]
        self._open -= {each.group.name for each in followers if each.is_done}
        self._unasked += [group, *followers]
        self._announce(group)
