"""Optuna's pruners, and a user's own that derive from ``optuna.pruners.BasePruner``, in one search."""

from __future__ import annotations

import copy
import inspect
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import TrialState

from learner_ray.core.errors import UserError
from learner_ray.run.states import ENDED_BADLY
from learner_ray.study.pruners import TrialProgress, asked

SETTINGS: dict[str, dict[str, Any]] = {"percentile": {"percentile": 25.0}}
"""Settings that Optuna leaves to the user, of a pruner that is given by its name alone."""


def names() -> dict[str, type[BasePruner]]:
    """Optuna's pruners that can prune a search, by the name without ``optuna.``."""
    found = {_name(cls): cls for name in optuna.pruners.__all__ if (cls := getattr(optuna.pruners, name))}
    return {name: cls for name, cls in found.items() if name not in ("base", "wilcoxon")}


def _name(cls: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Pruner")).lower()


def named(choice: str, epochs: int) -> BasePruner:
    """The pruner of a name such as ``optuna.median``, for a schedule of so many epochs.

    Raises:
        UserError: there is none of this name, or it needs settings.
    """
    name, known = choice.removeprefix("optuna."), names()
    if name == "wilcoxon":
        raise UserError(_WILCOXON)
    if name not in known:
        raise UserError(f"--pruner is {choice!r}; known of Optuna: {', '.join(f'optuna.{n}' for n in known)}")
    settings = {"max_resource": max(1, epochs)} if name == "hyperband" else SETTINGS.get(name, {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return known[name](**settings)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"--pruner {choice} needs settings ({error}): give an object of it in a study file, "
            f"Study(pruner=optuna.pruners.{known[name].__name__}(...))"
        ) from error


def checked(pruner: Any) -> BasePruner:
    """An object that a user has given as the pruner.

    Raises:
        UserError: it is no pruner, or one that cannot prune a search.
    """
    if inspect.isclass(pruner):
        raise UserError(
            f"pruner is the class {pruner.__name__}: give an object of it, {pruner.__name__}(...)"
        )
    if isinstance(pruner, optuna.pruners.WilcoxonPruner):
        raise UserError(_WILCOXON)
    if not isinstance(pruner, BasePruner):
        raise UserError(
            f"pruner is {pruner!r}: give a name, or an object of a class that derives from "
            "learner_ray.study.pruners.Pruner or optuna.pruners.BasePruner"
        )
    wrapped = getattr(pruner, "_wrapped_pruner", None)  # of a PatientPruner
    if wrapped is not None:
        checked(wrapped)
    return pruner


_WILCOXON = (
    "Optuna's WilcoxonPruner compares the scores of many instances of one problem, and the epochs of a "
    "trial are no such instances: choose another pruner, such as optuna.median"
)


class OptunaSearchPruner:
    """Shows one of Optuna's pruners a search as Optuna studies in memory, one for each running trial.

    Such a study has the trials that the running one is compared with under their numbers, with their
    parameters, states and the selection score of every epoch; those between them and the trial itself are
    there as running ones without a value. Its name is that of the search without the arm: Hyperband draws a
    trial's bracket from the name, and arms must have the same brackets. The pruner is asked after every epoch
    of every trial that is shown, so that one that remembers what it decided remembers it again in a resumed
    study.
    """

    def __init__(self, pruner: BasePruner, search: str) -> None:
        self._prototype = pruner
        self._search = search
        self._base = self._new_study()
        self._included = 0
        """How many ended trials the base study has."""
        self._shown: dict[int, _Shown] = {}
        """The running trials by number, as far as they were shown."""

    def _new_study(self) -> optuna.Study:
        return optuna.create_study(
            study_name=self._search,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=copy.deepcopy(self._prototype),
        )

    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress]) -> bool:
        """Whether Optuna's pruner stops the running trial after the epoch it has just finished."""
        shown = self._shown.get(trial.number)
        if shown is None or not shown.agrees_with(trial):
            self._forget_before(len(earlier))
            shown = self._shown[trial.number] = self._show(trial, earlier)
        return shown.decide(trial, self._prototype)

    def _forget_before(self, count: int) -> None:
        """Forgets trials that others are compared with by now: they have ended."""
        self._shown = {number: shown for number, shown in self._shown.items() if number >= count}

    def _show(self, trial: TrialProgress, earlier: Sequence[TrialProgress]) -> _Shown:
        if len(earlier) < self._included:  # a trial that began late, or is shown again
            self._base, self._included = self._new_study(), 0
        for ended in earlier[self._included :]:
            running = _Shown.beginning(self._base, ended)
            running.decide(ended, self._prototype)
            state, value = ending(ended.state, ended.selection_score)
            self._base.tell(running.trial, value, state=state)
        self._included = len(earlier)
        study = copy.deepcopy(self._base)
        for _ in range(len(earlier), trial.number):
            study.ask()
        return _Shown.beginning(study, trial)


@dataclass
class _Shown:
    """A trial in an Optuna study, as far as it was shown to the pruner."""

    study: optuna.Study
    trial: optuna.Trial
    decisions: dict[int, tuple[float, bool]] = field(default_factory=dict)
    """By epoch, the score and whether the pruner would stop the trial."""

    @classmethod
    def beginning(cls, study: optuna.Study, trial: TrialProgress) -> _Shown:
        """A trial of these parameters before its first epoch."""
        study.enqueue_trial(dict(trial.parameters))
        return cls(study, study.ask(dict(trial.distributions)))

    def agrees_with(self, trial: TrialProgress) -> bool:
        """Whether what was shown is so still. A run that was begun anew has other scores, and what a pruner
        knows is what the runs' files say."""
        known = {epoch: score for epoch, (score, _) in self.decisions.items() if epoch <= trial.epoch}
        return all(repr(trial.scores.get(epoch)) == repr(score) for epoch, score in known.items())

    def decide(self, trial: TrialProgress, pruner: BasePruner) -> bool:
        """Reports the epochs that were not shown, asks after each, and gives the last decision."""
        for epoch in sorted(trial.scores.keys() - self.decisions.keys()):
            self.trial.report(trial.scores[epoch], epoch)
            self.decisions[epoch] = trial.scores[epoch], asked(pruner, self.trial.should_prune)
        return self.decisions[trial.epoch][1] if trial.epoch else False


def ending(state: str, selection_score: float) -> tuple[TrialState, float | None]:
    """How an ended trial is reported to Optuna: its state, and its value if it is complete."""
    if not math.isfinite(selection_score) or state in ENDED_BADLY:
        return TrialState.FAIL, None
    if state == "stopped":
        return TrialState.PRUNED, None
    return TrialState.COMPLETE, selection_score
