"""Metrics of a run on validation and test pairs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    log_loss,
)

Classes = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def _classes(probabilities: Probabilities) -> list[int]:
    """The numbers of the classes: 0 worse, 1 same, 2 better, or 0 worse, 1 not worse."""
    return list(range(probabilities.shape[1]))


PROGRESSION_METRICS: dict[str, Callable[[Classes, Probabilities, Classes], float]] = {
    "macro_f1": lambda y, p, decided: float(
        f1_score(y, decided, labels=_classes(p), average="macro", zero_division=0)
    ),
    "accuracy": lambda y, p, decided: float(accuracy_score(y, decided)),
    "balanced_accuracy": lambda y, p, decided: float(balanced_accuracy_score(y, decided)),
    "kappa": lambda y, p, decided: float(
        cohen_kappa_score(y, decided, labels=_classes(p), weights="quadratic")
    ),
    "log_loss": lambda y, p, decided: float(log_loss(y, p, labels=_classes(p))),
}
"""By name, what is computed from the true classes, the probabilities and the classes decided on: macro-F1
over all classes (a class that nobody has or predicts counts 0), accuracy, balanced accuracy,
quadratic-weighted kappa (NaN where undefined) and log-loss in nats."""


_FILTERS = threading.RLock()
"""Python's filters of warnings are global to a process: two threads that change them at a time would restore
each other's."""


@contextmanager
def without_warnings(category: type[Warning] = Warning) -> Iterator[None]:
    """Silences scikit-learn: few pairs may lack a class, and the metrics above say what then holds."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


def progression_metrics(y: Classes, probabilities: Probabilities, decided: Classes) -> dict[str, float]:
    """All of ``PROGRESSION_METRICS`` of N progression pairs.

    Args:
        y: (N,) classes 0 worse, 1 same, 2 better; where the endpoint is decline 0 worse, 1 not worse.
        probabilities: (N, C) of the C classes.
        decided: (N,) the classes decided on.
    """
    with without_warnings():
        return {name: metric(y, probabilities, decided) for name, metric in PROGRESSION_METRICS.items()}


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of (N,) and (N,); NaN below three points or where one side is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
