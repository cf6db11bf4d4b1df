"""By how much each patient moves a metric, in every round: what variances are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.confusion_counts import ConfusionCounts
from analysis.statistics.metrics import Array, ReportMetric

STEP = 1e-4
"""Step of the numerical gradient, as a share of all pairs."""


@dataclass(frozen=True)
class Influence:
    """A statistic, and how single patients move it."""

    value: float
    by_round: Array
    """By how much the statistic differs because of a patient's pairs as predicted in this round, the round
    taken for all; shape (rounds, patients), NaN where the patient was not tested."""
    left_out: Array
    """The statistic without each patient in turn, shape (patients,)."""


def influence(
    confusions: ConfusionCounts, coefficients: Mapping[str, float], metric: ReportMetric
) -> Influence:
    """Compute the influence of every patient on a linear contrast of a metric between arms.

    Args:
        confusions: the counts of at least these arms.
        coefficients: by arm; ``{arm: 1}`` is its value, ``{arm: 1, reference: -1}`` a difference.
        metric: any metric of confusion counts.
    """
    index, signs = [confusions.index(arm) for arm in coefficients], np.array(list(coefficients.values()))
    counts = confusions.shared(index)
    totals = counts.sum(1)
    weights = signs[:, None, None] * np.stack([_gradient(metric, total) for total in totals])
    by_round = np.einsum("aij,arpij->rp", weights, confusions.by_patient[index])
    return Influence(
        value=float(signs @ metric.compute(totals)),
        by_round=np.where(confusions.tested[index].all(0), by_round, np.nan),
        left_out=signs @ metric.compute(totals[:, None] - counts),
    )


def combined(weights: Array, parts: Sequence[Influence]) -> Influence:
    """Combine statistics of the same rounds and patients linearly.

    Args:
        weights: one per statistic, shape (statistics,).
        parts: the statistics. A patient that one of them does not hold moves it by nothing there.
    """
    rounds = np.stack([part.by_round for part in parts])
    known = np.isfinite(rounds)
    return Influence(
        value=float(weights @ np.array([part.value for part in parts])),
        by_round=np.where(known.any(0), np.tensordot(weights, np.where(known, rounds, 0), 1), np.nan),
        left_out=np.asarray(weights @ np.stack([part.left_out for part in parts])),
    )


def _gradient(metric: ReportMetric, total: Array) -> Array:
    """Differentiate a metric in the nine counts, shape (3, 3); forward where a count cannot be lowered."""
    step = STEP * max(float(total.sum()), 1.0)
    moved = step * np.eye(9).reshape(9, 3, 3)
    back = np.where(total.ravel() >= step, 1.0, 0.0)
    upper, lower = metric.compute(total + moved), metric.compute(total - back[:, None, None] * moved)
    return np.asarray((upper - lower) / ((1 + back) * step)).reshape(3, 3)
