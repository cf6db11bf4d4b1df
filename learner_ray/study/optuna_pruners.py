"""Optuna's pruners, and a user's own that derive from ``optuna.pruners.BasePruner``, in one search."""

from __future__ import annotations

import copy
import inspect
import math
import re
import warnings
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import TrialState

from learner_ray.core.errors import UserError
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
    """Shows one of Optuna's pruners a search as an Optuna study of its own, in memory.

    That study has the search's trials under their numbers, with their parameters, states and the selection
    score of every epoch. Its name is that of the search without the arm: Hyperband draws a trial's bracket
    from the name, and arms must have the same brackets. A resumed study shows the pruner the same trials
    epoch by epoch, so that one that remembers what it decided remembers it again.
    """

    def __init__(self, pruner: BasePruner, search: str) -> None:
        self._prototype = pruner
        self._search = search
        self._ended: list[TrialProgress] = []
        self._begin()

    def _begin(self) -> None:
        self._study = optuna.create_study(
            study_name=self._search,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=copy.deepcopy(self._prototype),
        )
        self._trial: optuna.Trial | None = None
        self._shown: dict[int, tuple[float, bool]] = {}
        """By epoch of the running trial, its score and whether the pruner would stop it."""

    def should_prune(self, trial: TrialProgress) -> bool:
        """Whether Optuna's pruner stops the running trial after the epoch it has just finished."""
        self._show(trial, {epoch: s for epoch, s in self._shown.items() if epoch <= trial.epoch})
        return self._shown[trial.epoch][1]

    def end(self, trial: TrialProgress) -> None:
        """Shows Optuna's pruner the rest of a trial that has ended, and how it ended."""
        self._show(trial, self._shown)
        assert self._trial is not None
        self._tell(self._trial, trial)
        self._ended.append(trial)

    def _show(self, trial: TrialProgress, shown: dict[int, tuple[float, bool]]) -> None:
        """Reports the epochs of a trial that the pruner has not seen, and asks it after each.

        Where a run was begun anew and its scores are not those that were shown, all is shown again: what the
        pruner knows is what the runs' files say.
        """
        if any(repr(trial.scores.get(epoch)) != repr(score) for epoch, (score, _) in shown.items()):
            ended, self._ended = self._ended, []
            self._begin()
            for each in ended:
                self.end(each)
        if self._trial is None:
            self._study.enqueue_trial(dict(trial.parameters))
            self._trial = self._study.ask(dict(trial.distributions))
        running = self._trial
        for epoch in sorted(trial.scores.keys() - self._shown.keys()):
            running.report(trial.scores[epoch], epoch)
            decision = asked(self._prototype, running.should_prune)
            self._shown[epoch] = trial.scores[epoch], decision

    def _tell(self, running: optuna.Trial, trial: TrialProgress) -> None:
        state, value = ending(trial.state, trial.selection_score)
        self._study.tell(running, value, state=state)
        self._trial, self._shown = None, {}


def ending(state: str, selection_score: float) -> tuple[TrialState, float | None]:
    """How an ended trial is reported to Optuna: its state, and its value if it is complete."""
    if not math.isfinite(selection_score) or state in ("failed", "diverged"):
        return TrialState.FAIL, None
    if state == "stopped":
        return TrialState.PRUNED, None
    return TrialState.COMPLETE, selection_score
