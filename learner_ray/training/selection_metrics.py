"""What a search maximises on inner validation pairs: the interface, and the metrics that come with the
package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from learner_ray.core.components import SELECTION_METRICS
from learner_ray.training.metrics import PROGRESSION_METRICS, without_warnings


class SelectionMetric(ABC):
    """Scores the validation pairs of a trial after every epoch; the search looks for the highest score.

    Define a subclass in a study file, and name it in ``progression.selection_metric``.
    """

    name: ClassVar[str]
    """What ``progression.selection_metric`` selects it by."""
    label: ClassVar[str]
    """What tables and texts call it, as in "quadratic-weighted kappa"."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        SELECTION_METRICS.added(cls)

    @abstractmethod
    def compute(
        self, y: NDArray[np.int64], probabilities: NDArray[np.float64], decided: NDArray[np.int64]
    ) -> float:
        """The score of N progression pairs: higher is better, NaN where it is not defined.

        Args:
            y: (N,) classes 0 worse, 1 same, 2 better; where the endpoint is decline 0 worse, 1 not worse.
            probabilities: (N, C) of the C classes, rows that sum to 1.
            decided: (N,) the classes decided on.
        """

    def shown(self, score: float) -> str:
        """A score as a person reads it, with the metric's name."""
        return f"{self.name.replace('_', ' ')} {score:.3f}"


class _Progression(SelectionMetric):
    """A metric that is written down of every run, whatever is searched by."""

    def compute(
        self, y: NDArray[np.int64], probabilities: NDArray[np.float64], decided: NDArray[np.int64]
    ) -> float:
        with without_warnings():
            return PROGRESSION_METRICS[self.name](y, probabilities, decided)


class Kappa(_Progression):
    """Quadratic-weighted kappa, NaN where all pairs have and are given one class."""

    name = "kappa"
    label = "quadratic-weighted kappa"


class MacroF1(_Progression):
    """F1 averaged over all classes; a class that nobody has or predicts counts 0."""

    name = "macro_f1"
    label = "macro-F1"


class BalancedAccuracy(_Progression):
    """The mean recall of the classes that some pair has."""

    name = "balanced_accuracy"
    label = "balanced accuracy"


class LogLoss(_Progression):
    """Minus the log-loss of the probabilities, in nats."""

    name = "log_loss"
    label = "negative log-loss"

    def compute(
        self, y: NDArray[np.int64], probabilities: NDArray[np.float64], decided: NDArray[np.int64]
    ) -> float:
        """Minus the log-loss of (N, C) probabilities against the (N,) true classes; ``decided`` is not
        used."""
        return -super().compute(y, probabilities, decided)

    def shown(self, score: float) -> str:
        """The log-loss as a person reads it: positive, with the metric's name."""
        return super().shown(-score)


def selection_metric(name: str) -> SelectionMetric:
    """The selection metric of a name.

    Raises:
        UserError: there is none of this name.
    """
    found: SelectionMetric = SELECTION_METRICS.get(name)()
    return found
