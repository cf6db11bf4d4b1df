"""Metrics of a run on validation and test pairs."""

from __future__ import annotations

import warnings

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

CLASSES = (0, 1, 2)
"""Numbers of the classes worse, same and better."""


def progression_metrics(
    y: NDArray[np.int64], probabilities: NDArray[np.float64], decided: NDArray[np.int64]
) -> dict[str, float]:
    """Metrics of N progression pairs.

    Args:
        y: (N,) classes 0 worse, 1 same, 2 better.
        probabilities: (N, 3).
        decided: (N,) the classes decided on.

    Returns:
        macro-F1 over all three classes (a class that nobody has or predicts counts 0), accuracy, balanced
        accuracy, quadratic-weighted kappa (NaN where undefined) and log-loss in nats.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few pairs may lack a class: the values above say what then holds
        return {
            "macro_f1": float(f1_score(y, decided, labels=CLASSES, average="macro", zero_division=0)),
            "accuracy": float(accuracy_score(y, decided)),
            "balanced_accuracy": float(balanced_accuracy_score(y, decided)),
            "kappa": float(cohen_kappa_score(y, decided, labels=CLASSES, weights="quadratic")),
            "log_loss": float(log_loss(y, probabilities, labels=CLASSES)),
        }


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of (N,) and (N,); NaN below three points or where one side is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
