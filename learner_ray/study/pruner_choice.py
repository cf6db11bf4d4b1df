"""From what a user names or gives as the pruner to the pruner of one search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from learner_ray.core.components import PRUNERS
from learner_ray.core.described import described
from learner_ray.core.errors import UserError
from learner_ray.core.registry import source_hash
from learner_ray.study.pruners import NoPruning, Pruner, TrialProgress, asked

if TYPE_CHECKING:
    import optuna

OPTUNA = "optuna."
"""Begins the names of Optuna's pruners, which are loaded when such a name is asked for."""

PrunerChoice: TypeAlias = "str | Pruner | optuna.pruners.BasePruner"
"""A name, or an object of a study file."""


class SearchPruner(Protocol):
    """The pruner of one search (one arm in one fold).

    It decides by what it is given alone, so that a resumed study decides as one that was not interrupted.
    """

    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress]) -> bool:
        """Whether the running trial is stopped after the epoch it has just finished.

        Args:
            trial: the trial.
            earlier: the ended trials that it is compared with: those of the lowest numbers, in order.
        """


def search_pruner(choice: PrunerChoice, *, epochs: int, search: str) -> SearchPruner:
    """The pruner of one search.

    Args:
        choice: a name (``--pruner``) or an object (``Study(pruner=...)``), which is left as it is.
        epochs: length of the schedule.
        search: name of the search without its arm, by which some of Optuna's pruners draw: arms are paired.

    Raises:
        UserError: there is no such pruner, or it cannot prune a search.
    """
    pruner = _pruner_of(choice, epochs)
    if isinstance(pruner, Pruner):
        return _Own(pruner, epochs)
    from learner_ray.study.optuna_pruners import OptunaSearchPruner

    return OptunaSearchPruner(pruner, search)


def prunes(choice: PrunerChoice) -> bool:
    """Whether a pruner may stop anything; where it may not, no trial depends on others by it."""
    pruner = _pruner_of(choice, epochs=1)
    if isinstance(pruner, Pruner):
        return not isinstance(pruner, NoPruning)
    from optuna.pruners import NopPruner

    return not isinstance(pruner, NopPruner)


def check_pruner(choice: PrunerChoice) -> None:
    """Refuses what is no pruner, or one that needs settings and is given by its name alone.

    Raises:
        UserError: as :func:`search_pruner` does.
    """
    _pruner_of(choice, epochs=1)


def pruner_text(choice: PrunerChoice) -> str:
    """What identifies a pruner in ``study.json``: its name, settings, and the version of a user's own class.

    A pruner that comes with the package, by its name, is that name alone.
    """
    if isinstance(choice, str):
        own = "" if choice.startswith(OPTUNA) else PRUNERS.identity(choice)
        return choice + (f" [{own}]" if own else "")
    own = "" if _is_public(type(choice)) else f" [{source_hash(type(choice))}]"
    return _object_text(choice) + own


def pruner_record(choice: PrunerChoice, epochs: int) -> dict[str, Any]:
    """What ``study.json`` records of a pruner beside its name: what its class says of itself, and where it
    has any, the epochs at which it compares trials (``rungs``) and its ``eta``.

    Args:
        choice: a name or an object.
        epochs: length of the schedule.
    """
    pruner = _pruner_of(choice, epochs)
    rungs = getattr(pruner, "rungs", None)
    return {
        **described(type(pruner)),
        **({"rungs": rungs(epochs)} if callable(rungs) else {}),
        **({"eta": pruner.eta} if hasattr(pruner, "eta") and callable(rungs) else {}),
    }


def _is_public(cls: type) -> bool:
    """Whether a class comes with this package or with Optuna, whose versions ``study.json`` states."""
    return cls.__module__.startswith(("optuna.", "learner_ray."))


def _object_text(value: object) -> str:
    """An object with its settings, as text that is the same in every process."""
    if isinstance(value, type) or callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__))
    if value is None or isinstance(value, bool | int | float | str | tuple | list | dict):
        return repr(value)
    settings = sorted((key.lstrip("_"), each) for key, each in getattr(value, "__dict__", {}).items())
    return f"{type(value).__name__}({', '.join(f'{key}={_object_text(each)}' for key, each in settings)})"


def _pruner_of(choice: Any, epochs: int) -> Any:
    """One of our pruners, or one of Optuna's."""
    if isinstance(choice, Pruner):
        return choice
    if isinstance(choice, str) and not choice.startswith(OPTUNA):
        if not PRUNERS.knows(choice):
            raise UserError(
                f"--pruner is {choice!r}; known: {', '.join(PRUNERS.names)}; of Optuna, as in optuna.median"
            )
        made = _made(PRUNERS.get(choice), choice)
        if isinstance(made, Pruner):
            return made
        choice = made
    from learner_ray.study.optuna_pruners import checked, named

    return named(choice, epochs) if isinstance(choice, str) else checked(choice)


def _made(cls: Any, name: str) -> Any:
    """An object of a pruner's class, with its default settings."""
    try:
        return cls()
    except TypeError as error:
        raise UserError(
            f"the pruner {name!r} needs settings ({error}): give an object of it in a study file, "
            f"Study(pruner={cls.__name__}(...))"
        ) from error


@dataclass(frozen=True)
class _Own:
    """One of our pruners, for a schedule of so many epochs."""

    pruner: Pruner
    epochs: int

    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress]) -> bool:
        return asked(self.pruner, lambda: self.pruner.should_prune(trial, tuple(earlier), self.epochs))
