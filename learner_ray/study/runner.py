"""Hands out the runs of all groups and takes in how they end. Whoever has devices asks it for work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from learner_ray.run.folder import RunStore
from learner_ray.study.arm_search import ArmSearch, StudyFactory
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, RunResult
from learner_ray.study.retry import Retry
from learner_ray.study.study import Space


class Callback(Protocol):
    """Is told what happens in a study."""

    def on_start(self, planned: PlannedRun) -> None:
        """A run was handed out."""

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """A running run finished an epoch."""

    def on_end(self, outcome: RunResult) -> None:
        """A run ended, now or in an earlier start of the study."""


class StudyRunner:
    """The search of every group, and the one who decides which runs next."""

    def __init__(
        self,
        groups: Sequence[FoldSearchSpec],
        space: Space,
        store: RunStore,
        optuna_study: StudyFactory,
        retry: Collection[str] = (),
        callbacks: Callable[[StudyRunner], Sequence[Callback]] = lambda runner: (),
    ) -> None:
        """Makes the search of every group.

        Args:
            groups: what is searched and trained, by arm and fold.
            space: the study's search space.
            store: the folder of all runs.
            optuna_study: makes the Optuna study of a name.
            retry: roles of runs that are trained again, once, where they have failed.
            callbacks: makes those that are told what happens, from the runner whose runs they are told of.
        """
        self.store = store
        again = Retry(roles=frozenset(retry))
        self.groups = {
            group.name: ArmSearch(group, space, store, optuna_study(group.name), again) for group in groups
        }
        self._followers: dict[str, list[ArmSearch]] = {name: [] for name in self.groups}
        for search in self.groups.values():
            if search.group.chosen_by:
                search.chooser = self.groups[search.group.chosen_by]
                self._followers[search.group.chosen_by].append(search)
        self._ready: list[PlannedRun] = []
        self._announced: dict[str, int] = dict.fromkeys(self.groups, 0)
        # Only a group whose run has ended can have new ones: asking all is slow in a large study.
        self._unasked = list(self.groups.values())
        self.callbacks = list(callbacks(self))

    @property
    def is_done(self) -> bool:
        return all(group.is_done for group in self.groups.values())

    @property
    def remaining(self) -> int:
        return sum(group.remaining for group in self.groups.values())

    @property
    def outcomes(self) -> list[RunResult]:
        return [outcome for group in self.groups.values() for outcome in group.outcomes]

    @property
    def failed(self) -> list[RunResult]:
        """Of runs that have failed or diverged."""
        return [outcome for outcome in self.outcomes if outcome.state in ("failed", "diverged")]

    @property
    def is_short(self) -> bool:
        """Whether a result is lacking: a run failed, or a final run diverged or can never begin.

        A trial that diverges is an outcome of the search, which tries what may not work.
        """
        lacking = any(o.state == "failed" or o.planned.role != "trial" for o in self.failed)
        return lacking or any(group.is_hopeless for group in self.groups.values())

    def resume(self) -> bool:
        """Takes in all runs that ended in earlier starts; True where nothing is left to run."""
        self._refill()
        return self.is_done

    def next_run(self) -> PlannedRun | None:
        """A run to start now, or None while all that is left depends on running ones.

        The group with most runs left goes first, so that no group is left alone at the end with its trials to
        be run one after the other.
        """
        self._refill()
        if not self._ready:
            return None
        planned = max(self._ready, key=lambda planned: self.groups[planned.group].remaining)
        self._ready.remove(planned)
        for callback in self.callbacks:
            callback.on_start(planned)
        return planned

    def _refill(self) -> None:
        while self._unasked:
            group = self._unasked.pop(0)
            while (planned := group.next_run()) is not None:
                self._ready.append(planned)
            self._announce(group)

    def _announce(self, group: ArmSearch) -> None:
        """Tells the callbacks of outcomes they have not heard of."""
        known = self._announced[group.group.name]
        for outcome in group.outcomes[known:]:
            for callback in self.callbacks:
                callback.on_end(outcome)
        self._announced[group.group.name] = len(group.outcomes)

    def row(self, planned: PlannedRun, row: dict[str, Any]) -> bool:
        """Takes in a running run's epoch; False where the pruner stops the trial, which is then over."""
        for callback in self.callbacks:
            callback.on_row(planned, row)
        group = self.groups[planned.group]
        if planned.role != "trial" or group.pruner.keeps(planned.number, row):
            return True
        self.store.folder(planned.spec.hash).finish("stopped", f"not among the best at epoch {row['epoch']}")
        return False

    def ended(self, planned: PlannedRun) -> None:
        """Takes in that a run's process is done with it. A run that left no state was interrupted."""
        outcome = RunResult.read(planned, self.store.folder(planned.spec.hash))
        if outcome is None:
            return
        group = self.groups[planned.group]
        group.end(outcome)
        self._unasked += [group, *self._followers[planned.group]]
        self._announce(group)
