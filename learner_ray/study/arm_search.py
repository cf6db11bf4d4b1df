"""The search of one arm in one fold (a group), then its final runs, as runs to hand out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from learner_ray.run.folder import RunStore
from learner_ray.run.progress import selection_score
from learner_ray.study.lag import trials_before
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, RunResult
from learner_ray.study.pruner_choice import prunes, search_pruner
from learner_ray.study.pruners import TrialProgress
from learner_ray.study.recipe_checks import ranges_of, start_of
from learner_ray.study.retry import Retry, is_whole
from learner_ray.study.samplers import grid_points, make_sampler, trials_known
from learner_ray.study.study import Space, Suggest, distributions_of

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

logger = logging.getLogger(__name__)


class ArmSearch:
    """Asks its own Optuna study for trials, then plans the audits and the final runs.

    ``settings.parallel_trials`` trials run at a time. What is suggested, and what is stopped, depends on the
    trials of this search alone whose numbers are smaller by ``settings.lag`` or more, never on the order in
    which a cluster happens to finish them: the next trial waits until those have ended, and the others count
    as running even if they have. A run that has ended already, in this study or in another of the same root,
    is reported to Optuna and not handed out: to resume a study is to ask again.

    Args:
        group: what the search is to do, in which arm and fold.
        space: asks for the values of a trial.
        store: the folders of all runs.
        study: the Optuna study of this search.
        retry: which failed runs are trained again.
        chooser: the search whose best trial is taken, where this one does not search itself.
    """

    def __init__(
        self,
        group: FoldSearchSpec,
        space: Space,
        store: RunStore,
        study: optuna.Study,
        retry: Retry | None = None,
        chooser: ArmSearch | None = None,
    ) -> None:
        self.group = group
        self._retry = retry or Retry()
        self.chooser = chooser or self
        self.outcomes: list[RunResult] = []
        self.pruner = search_pruner(
            group.settings.pruner,
            epochs=group.config.train.epochs,
            search=f"r{group.fold.repeat}-f{group.fold.fold}",
        )
        self._space = space
        self._store = store
        self._study = study
        self._prunes = prunes(group.settings.pruner)
        self._suggested = 0
        """How many trials were suggested."""
        self._asked: dict[int, optuna.Trial] = {}
        """By number, those of them whose outcome the Optuna study does not know."""
        self._distributions: dict[int, dict[str, BaseDistribution]] = {}
        """By number, what the values of the trials that have not ended were drawn from: Optuna copies it each
        time that it is asked."""
        self._ended: dict[int, RunResult] = {}
        """By number, the trials that have ended."""
        self._seen: dict[int, TrialProgress] = {}
        """By number, those of them that ended before one with a lower number, as a pruner sees them."""
        self._in_order: list[TrialProgress] = []
        """The trials that have ended, as a pruner sees them, up to the first one that has not."""
        self._scores: dict[int, dict[int, float]] = {}
        """By the number of a running trial, the selection score of every epoch it has reported."""
        self._best: RunResult | None = None
        self._repeats = 0
        self._running: dict[str, PlannedRun] = {}

    @property
    def trial_outcomes(self) -> list[RunResult]:
        """The results of the trials that have ended, in order of their numbers."""
        return [self._ended[number] for number in sorted(self._ended)]

    @property
    def best(self) -> RunResult | None:
        """The complete trial with the highest selection score, of two that tie the earlier one; None while
        there is none."""
        return self._best if self.chooser is self else self.chooser.best

    @property
    def is_done(self) -> bool:
        """Whether every run of this search has ended that can be."""
        return not self._running and self._searched and (self._all_repeated or self.is_hopeless)

    @property
    def remaining(self) -> int:
        """Runs still to end, the running ones included."""
        if self.is_hopeless:
            return 0
        return self.group.runs - len(self.outcomes)

    @property
    def _all_repeated(self) -> bool:
        return self._repeats == self.group.audit_runs + self.group.settings.seeds

    @property
    def _searched(self) -> bool:
        if self.chooser is not self:
            return self.chooser._searched
        return len(self._ended) == self.group.trials

    @cached_property
    def _grid(self) -> list[dict[str, Any]]:
        space = distributions_of(self._space, self.group.config, self.group.fixed)
        return grid_points(space, self.group.run_seed("sampler", 0))

    @property
    def is_hopeless(self) -> bool:
        """Whether the final runs can never be: no trial of the search is complete."""
        return self.chooser.group.trials > 0 and self._searched and self.best is None

    def next_run(self) -> PlannedRun | None:
        """A run to start now, or None: there is none, or it depends on one that is running."""
        while True:
            planned = self._next()
            if planned is None:
                return None
            self._running[planned.label] = planned
            outcome = self._ended_before(planned)
            if outcome is None:
                return planned
            self.end(outcome)

    def _ended_before(self, planned: PlannedRun) -> RunResult | None:
        """The result of a run that ended in an earlier start, if its files are the ones that it wrote and it
        is not to be trained again."""
        folder = self._store.folder(planned.spec.hash)
        fault = folder.fault(planned.spec.hash)
        if fault:
            folder.begin_anew(planned.spec.hash)
            logger.warning("%s: %s; training it again", planned.label, fault)
            return None
        outcome = RunResult.read(planned, folder)
        if outcome is not None and outcome.state == "failed" and self._retry.wants(planned):
            folder.reopen()
            outcome = None
        if outcome is None and not planned.final and is_whole(folder.progress(), planned.spec):
            # All that a search needs of it is there: whatever came after its last epoch, its place is kept.
            folder.finish("complete")
            outcome = RunResult.read(planned, folder)
        return outcome

    def _next(self) -> PlannedRun | None:
        if not self._searched:
            return self._next_trial() if self.chooser is self and self._may_begin(self._suggested) else None
        if self.is_hopeless or self._all_repeated:
            return None
        number, audits = self._repeats, self.group.audit_runs
        self._repeats += 1
        return self._again("audit", number) if number < audits else self._again("final", number - audits)

    def _may_begin(self, number: int) -> bool:
        """Whether the trial of a number can be suggested: all that it depends on has ended, and it is one of
        those that run at a time. Trials that depend on none begin at once."""
        settings = self.group.settings
        told = trials_known(settings.sampler, number, settings.lag)
        needed = max(told, self._compared(number)) if self._prunes else told
        if number == self.group.trials or needed > len(self._in_order):
            return False
        free = settings.parallel_trials > 1 and not self._prunes and told == 0
        return free or len(self._running) < settings.parallel_trials

    def _compared(self, number: int) -> int:
        """How many trials, from the first on, a pruner compares one with."""
        return trials_before(number, self.group.settings.lag)

    def _next_trial(self) -> PlannedRun:
        group, settings, number = self.group, self.group.settings, self._suggested
        self._tell(trials_known(settings.sampler, number, settings.lag))
        # A fresh sampler per trial, keyed without the arm: all arms start from the same random points, and a
        # resumed search suggests what the undisturbed one would have.
        seeds = group.run_seed("sampler", 0), group.run_seed("sampler", number)
        self._study.sampler = make_sampler(settings.sampler, *seeds, parallel=settings.parallel_trials > 1)
        if number == 0:
            # The published setting, or the base one, comes first: no search is judged without it.
            ranges = ranges_of(group.name, self._space, group.config, group.fixed)
            self._study.enqueue_trial(start_of(ranges, group.config, group.name))
        elif settings.sampler == "grid":
            # Where all points have been tried the sampler goes on by itself.
            self._study.enqueue_trial(self._grid[number - 1] if number <= len(self._grid) else {})
        trial = self._study.ask()
        suggest = Suggest(trial, group.fixed)
        self._space(suggest, group.config)
        self._asked[number], self._distributions[number] = trial, trial.distributions
        self._suggested += 1
        config = replace(group.config.with_values(suggest.values), seed=group.run_seed("trial"))
        return PlannedRun(
            group=group.name,
            number=number,
            spec=self._store.as_recorded(group.spec(config, final=False)),
            role="trial",
            parameters=suggest.values,
        )

    def _again(self, role: Literal["audit", "final"], number: int) -> PlannedRun:
        """Trains the best trial's configuration again, up to its best epoch; where nothing was searched, the
        arm's own."""
        group, best = self.group, self.best
        parameters = dict(best.planned.parameters) if best else {}
        values = {**parameters, "train.stop_epoch": best.best_epoch} if best else {}
        config = replace(group.config.with_values(values), seed=group.run_seed(role, number))
        return PlannedRun(
            group=group.name,
            number=number,
            spec=self._store.as_recorded(group.spec(config, final=role == "final")),
            role=role,
            parameters=parameters,
        )

    def end(self, outcome: RunResult) -> None:
        """Takes in the result of a run."""
        del self._running[outcome.planned.label]
        self.outcomes.append(outcome)
        if outcome.planned.role != "trial":
            return
        number = outcome.planned.number
        self._ended[number] = outcome
        self._seen[number] = self._progress(outcome.planned, outcome.scores, outcome)
        del self._distributions[number]
        while len(self._in_order) in self._seen:
            self._in_order.append(self._seen.pop(len(self._in_order)))
        if outcome.state == "complete" and math.isfinite(outcome.selection_score):
            self._best = max((each for each in (self._best, outcome) if each), key=_rank)
        self._scores.pop(number, None)
        if self._searched:
            self._tell(self.group.trials)

    def should_prune(self, planned: PlannedRun, row: Mapping[str, Any]) -> bool:
        """Whether a running trial is stopped after an epoch, whose progress row is given. At the end of its
        schedule there is nothing to stop."""
        train, epoch = planned.spec.config.train, row["epoch"]
        if not self._prunes or planned.role != "trial" or epoch >= (train.stop_epoch or train.epochs):
            return False
        scores = self._scores.setdefault(planned.number, {})
        if epoch > len(scores) + 1:  # the epochs before it were reported in an earlier start
            rows = self._store.folder(planned.spec.hash).progress()
            scores.update({each["epoch"]: selection_score(each) for each in rows})
        scores[epoch] = selection_score(row)
        known = {each: score for each, score in scores.items() if each <= epoch}
        earlier = self._in_order[: self._compared(planned.number)]
        assert len(earlier) == self._compared(planned.number)  # or it would not have begun
        return self.pruner.should_prune(self._progress(planned, known), earlier)

    def _progress(
        self, planned: PlannedRun, scores: Mapping[int, float], result: RunResult | None = None
    ) -> TrialProgress:
        """A trial as a pruner sees it."""
        return TrialProgress(
            number=planned.number,
            scores=dict(sorted(scores.items())),
            parameters=planned.parameters,
            distributions=self._distributions[planned.number],
            state=result.state if result else "running",
            selection_score=result.selection_score if result else math.nan,
        )

    def _tell(self, count: int) -> None:
        """Tells the Optuna study, in order of number, how the first ``count`` trials ended."""
        from learner_ray.study.optuna_pruners import ending

        for number in range(self._suggested - len(self._asked), count):
            trial, outcome = self._asked.pop(number), self._ended[number]
            for epoch, score in outcome.scores.items():
                if math.isfinite(score):
                    trial.report(score, epoch)
            trial.set_user_attr("run_hash", outcome.planned.spec.hash)
            state, value = ending(outcome.state, outcome.selection_score)
            self._study.tell(trial, value, state=state)


def _rank(outcome: RunResult) -> tuple[float, int]:
    """Trials by score; of equal ones the earlier ranks higher."""
    return outcome.selection_score, -outcome.planned.number


StudyFactory = Callable[[str], "optuna.Study"]
"""Makes the Optuna study of a group's name."""
