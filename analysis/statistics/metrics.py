"""Metrics as functions of 3x3 confusion matrices, vectorised over any leading axes.

``counts[..., i, j]`` is how many pairs of true class i were called j, with 0 worse, 1 same, 2 better;
fractions are fine, since matrices are averaged over seeds. A ratio whose denominator is zero follows one rule
throughout: the F1 of a class that nobody has or predicts is 0; the recall of a class nobody has is undefined
(NaN) and left out of the balanced accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

CLASSES = ("worse", "same", "better")


def _ratio(numerator: Array, denominator: Array, undefined: float) -> Array:
    safe = np.where(denominator > 0, denominator, 1)
    ratio: Array = np.where(denominator > 0, numerator / safe, undefined)
    return ratio


def recalls(counts: Array) -> Array:
    """Compute the recall of each class, shape (..., 3)."""
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), np.nan)


def macro_f1(counts: Array) -> Array:
    """Compute the mean over the three classes of F1 = 2 TP / (2 TP + FP + FN), shape (...)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    f1: Array = _ratio(2 * hits, counts.sum(-1) + counts.sum(-2), 0.0)
    return np.asarray(f1.mean(-1))


def accuracy(counts: Array) -> Array:
    """Compute the share of all pairs whose class was predicted, shape (...)."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-1, -2)), np.nan)


def balanced_accuracy(counts: Array) -> Array:
    """Compute the mean recall over the classes that occur, shape (...)."""
    values = recalls(counts)
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1), np.nan)


def weighted_kappa(counts: Array) -> Array:
    """Compute Cohen's kappa with quadratic weights (Cohen 1968), shape (...); 0 for a constant prediction."""
    distance = (np.arange(3)[:, None] - np.arange(3)) ** 2
    total = counts.sum((-1, -2))
    chance = counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :]
    expected = _ratio((chance * distance).sum((-1, -2)), total, 0.0)
    return 1 - _ratio((counts * distance).sum((-1, -2)), expected, np.nan)


def class_mae(counts: Array) -> Array:
    """Compute the mean absolute difference of the class indices, shape (...)."""
    distance = np.abs(np.arange(3)[:, None] - np.arange(3))
    return _ratio((counts * distance).sum((-1, -2)), counts.sum((-1, -2)), np.nan)


def far_error_rate(counts: Array) -> Array:
    """Compute the share of all pairs where worse was called better or better worse, shape (...)."""
    return _ratio(counts[..., 0, 2] + counts[..., 2, 0], counts.sum((-1, -2)), np.nan)


def _recall(index: int) -> Callable[[Array], Array]:
    return lambda counts: recalls(counts)[..., index]


@dataclass(frozen=True)
class Metric:
    """A metric of the classes, computed from confusion counts."""

    label: str
    """How tables call it."""
    function: Callable[[Array], Array]
    """From counts of shape (..., 3, 3) to values of shape (...)."""
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    "macro_f1": Metric("Macro-F1", macro_f1),
    "accuracy": Metric("Accuracy", accuracy),
    "balanced_accuracy": Metric("Balanced accuracy", balanced_accuracy),
    "qwk": Metric("QWK", weighted_kappa),
    "class_mae": Metric("Class MAE", class_mae, higher_is_better=False),
    "far_error_rate": Metric("Far-error rate", far_error_rate, higher_is_better=False),
    "recall_worse": Metric("Recall worse", _recall(0)),
    "recall_same": Metric("Recall same", _recall(1)),
    "recall_better": Metric("Recall better", _recall(2)),
}
