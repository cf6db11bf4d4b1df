"""The metrics that come with the report, computed from 3x3 confusion matrices over any leading axes.

``counts[..., i, j]`` is how many pairs of true class i were called j, with 0 worse, 1 same, 2 better;
fractions are fine, since matrices are averaged over seeds. A ratio whose denominator is zero follows one rule
throughout: the F1 of a class that nobody has or predicts is 0; the recall of a class nobody has is undefined
(NaN) and left out of the balanced accuracy. Metrics of decline take same and better for one class; in a study
whose endpoint is decline class 1 is "not worse" and class 2 is empty.

The margin of practical equivalence is a fiftieth of the metric's range (0 to 1; QWK -1 to 1; class MAE 0 to
2), for far errors a hundredth, since there are few of them.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.results.endpoints import DECLINE, PROGRESSION
from analysis.statistics.report_metric import METRICS, Array, ReportMetric, ratio

__all__ = ["METRICS", "PRIMARY", "Array", "ReportMetric", "recalls"]

PRIMARY = {PROGRESSION: "macro_f1", DECLINE: "decline_balanced_accuracy"}
"""The metric that verdicts are about, by endpoint, where a study names none."""


def recalls(counts: Array) -> Array:
    """Compute the recall of each class, shape (..., 3)."""
    return ratio(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), np.nan)


class MacroF1(ReportMetric):
    """The mean over the three classes of F1 = 2 TP / (2 TP + FP + FN)."""

    name = "macro_f1"
    label = "Macro-F1"
    bounds = (0.0, 1.0)
    margin = 0.02

    def compute(self, counts: Array) -> Array:
        """Average the three F1, shape (...)."""
        hits = np.diagonal(counts, axis1=-2, axis2=-1)
        f1: Array = ratio(2 * hits, counts.sum(-1) + counts.sum(-2), 0.0)
        return np.asarray(f1.mean(-1))


class Accuracy(ReportMetric):
    """The share of all pairs whose class was predicted."""

    name = "accuracy"
    label = "Accuracy"
    bounds = (0.0, 1.0)
    margin = 0.02

    def compute(self, counts: Array) -> Array:
        """Divide the hits by all pairs, shape (...)."""
        return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-1, -2)), np.nan)


class BalancedAccuracy(ReportMetric):
    """The mean recall over the classes that occur."""

    name = "balanced_accuracy"
    label = "Balanced accuracy"
    bounds = (0.0, 1.0)
    margin = 0.02

    def compute(self, counts: Array) -> Array:
        """Average the recalls that are defined, shape (...)."""
        values = recalls(counts)
        known = ~np.isnan(values)
        return ratio(np.where(known, values, 0).sum(-1), known.sum(-1), np.nan)


class WeightedKappa(ReportMetric):
    """Cohen's kappa with quadratic weights (Cohen 1968); 0 for a constant prediction."""

    name = "qwk"
    label = "QWK"
    bounds = (-1.0, 1.0)
    margin = 0.04

    def compute(self, counts: Array) -> Array:
        """Divide the squared class distances seen by those expected by chance, shape (...)."""
        distance = (np.arange(3)[:, None] - np.arange(3)) ** 2
        total = counts.sum((-1, -2))
        chance = counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :]
        expected = ratio((chance * distance).sum((-1, -2)), total, 0.0)
        return 1 - ratio((counts * distance).sum((-1, -2)), expected, np.nan)


class ClassMAE(ReportMetric):
    """The mean absolute difference of the class indices."""

    name = "class_mae"
    label = "Class MAE"
    higher_is_better = False
    bounds = (0.0, 2.0)
    margin = 0.04

    def compute(self, counts: Array) -> Array:
        """Average the class distances, shape (...)."""
        distance = np.abs(np.arange(3)[:, None] - np.arange(3))
        return ratio((counts * distance).sum((-1, -2)), counts.sum((-1, -2)), np.nan)


class FarErrorRate(ReportMetric):
    """The share of all pairs where worse was called better or better worse."""

    name = "far_error_rate"
    label = "Far-error rate"
    higher_is_better = False
    bounds = (0.0, 1.0)
    margin = 0.01

    def compute(self, counts: Array) -> Array:
        """Divide the far errors by all pairs, shape (...)."""
        return ratio(counts[..., 0, 2] + counts[..., 2, 0], counts.sum((-1, -2)), np.nan)


class _Recall(ReportMetric):
    """The recall of one class."""

    bounds = (0.0, 1.0)
    index: ClassVar[int]
    margin = 0.02

    def compute(self, counts: Array) -> Array:
        """Take this class's recall, shape (...)."""
        return recalls(counts)[..., self.index]


class RecallWorse(_Recall):
    """The share of the pairs that got worse that were called so."""

    name, label, index = "recall_worse", "Recall worse", 0


class RecallSame(_Recall):
    """The share of the pairs that stayed the same that were called so."""

    name, label, index = "recall_same", "Recall same", 1


class RecallBetter(_Recall):
    """The share of the pairs that got better that were called so."""

    name, label, index = "recall_better", "Recall better", 2


def of_worse(counts: Array) -> tuple[Array, Array, Array, Array]:
    """Count by worse or not: true positives, false negatives, false positives, true negatives, each (...)."""
    worse, other = counts[..., 0, :], counts[..., 1:, :]
    of_other = np.asarray(other[..., 0].sum(-1))
    return worse[..., 0], worse[..., 1:].sum(-1), of_other, other[..., 1:].sum((-1, -2))


class _Decline(ReportMetric):
    """A metric of worse against the rest."""

    endpoint = DECLINE
    bounds = (0.0, 1.0)
    margin = 0.02


class DeclineBalancedAccuracy(_Decline):
    """The mean of sensitivity and specificity: 0.5 by chance, however rare decline is."""

    name, label = "decline_balanced_accuracy", "Balanced accuracy of decline"

    def compute(self, counts: Array) -> Array:
        """Average the recalls of worse and of the rest, shape (...); NaN without pairs of both kinds."""
        hits, missed, false, rejected = of_worse(counts)
        sensitivity = ratio(hits, hits + missed, np.nan)
        return (sensitivity + ratio(rejected, rejected + false, np.nan)) / 2


class DeclineF1(_Decline):
    """F1 = 2 TP / (2 TP + FP + FN) of worse; 0 where nobody has or is given that class."""

    name, label = "decline_f1", "F1 of worse"

    def compute(self, counts: Array) -> Array:
        """Compute F1 of class 0, shape (...)."""
        hits, missed, false, _ = of_worse(counts)
        return ratio(2 * hits, 2 * hits + missed + false, 0.0)


class DeclineSensitivity(_Decline):
    """The share of the pairs that got worse that were called so."""

    name, label = "decline_sensitivity", "Sensitivity to decline"

    def compute(self, counts: Array) -> Array:
        """Compute the recall of class 0, shape (...)."""
        hits, missed, _, _ = of_worse(counts)
        return ratio(hits, hits + missed, np.nan)


class DeclineSpecificity(_Decline):
    """The share of the pairs that did not get worse that were not called worse."""

    name, label = "decline_specificity", "Specificity"

    def compute(self, counts: Array) -> Array:
        """Compute the recall of the other classes together, shape (...)."""
        _, _, false, rejected = of_worse(counts)
        return ratio(rejected, rejected + false, np.nan)
