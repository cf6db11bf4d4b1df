"""What stops the trials of a search before their schedule ends: the interface of a pruner."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from learner_ray.core.components import PRUNERS
from learner_ray.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TrialProgress:
    """A trial of a search as far as it has run, read from the run's own files."""

    number: int
    """The trial's place in its search, from 0."""
    scores: Mapping[int, float]
    """The selection score of every epoch so far, from epoch 1 on; higher is better, NaN is no number."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The values that the search suggested, by dotted configuration key."""
    distributions: Mapping[str, Any] = field(default_factory=dict)
    """The Optuna distribution that each of the parameters was drawn from."""
    state: str = "running"
    """``running``, or how the trial ended: ``complete``, ``stopped``, ``failed`` or ``diverged``."""
    selection_score: float = math.nan
    """The score by which an ended trial is chosen; NaN where it has none."""

    @property
    def epoch(self) -> int:
        """The last epoch that the trial has finished; 0 before the first."""
        return max(self.scores, default=0)

    @property
    def score(self) -> float:
        """The selection score of the last finished epoch; minus infinity where it is no number, so that such
        a trial is worse than any other."""
        return self.score_at(self.epoch)

    def score_at(self, epoch: int) -> float:
        """The selection score of one epoch; minus infinity where there is none or it is no number."""
        score = self.scores.get(epoch, math.nan)
        return -math.inf if math.isnan(score) else score


class Pruner(ABC):
    """Decides after every epoch of a trial whether the trial is stopped.

    A pruner remembers nothing: all it may go by is what :meth:`should_prune` is given, which is read from the
    runs' files. So a study that was killed and resumed decides as one that was not. It is never asked before
    the first epoch or after the last one, and it is not informed which arm the trial belongs to, so that arms
    are treated alike.

    Define a subclass in a study file and give an object of it to ``Study(pruner=...)``. A subclass with a
    ``name`` and no required argument can be selected by ``--pruner`` too.
    """

    name: ClassVar[str]
    """What ``--pruner`` selects it by."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        PRUNERS.added(cls)

    @abstractmethod
    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress], epochs: int) -> bool:
        """Whether a trial is stopped after the epoch that it has just finished.

        Args:
            trial: the trial, with the scores of all its epochs so far, the one just finished included.
            earlier: the ended trials of the same search (one arm, one fold) that it is compared with, in
                order: all with lower numbers, or, where P trials run at a time, with numbers lower by 2 P or
                more.
            epochs: the length of the schedule.
        """


class NoPruning(Pruner):
    """Lets every trial run its whole schedule."""

    name = "none"

    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress], epochs: int) -> bool:
        return False


def asked(pruner: object, question: Callable[[], Any]) -> bool:
    """What a pruner decides. The user's own code may raise anything, which is reported as the user's mistake.

    Raises:
        UserError: the pruner raised something.
    """
    try:
        return bool(question())
    except Exception as error:
        name = type(pruner).__name__
        raise UserError(f"the pruner {name} fails: {type(error).__name__}: {error}") from error
