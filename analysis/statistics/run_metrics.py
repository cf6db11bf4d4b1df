"""Metrics that are no counts: of the rows of one final run, then averaged over the folds of a round.

Every final run has an encoder and a classifier of its own, so ranks are taken within it. All metrics take the
rows with weights, in many draws at once: a draw that leaves one patient out makes the jackknife.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from analysis.results.endpoints import CHANGE, DECLINE, PROGRESSION
from analysis.statistics.directed_metric import DirectedMetric
from analysis.statistics.proper_scores import PROPER_SCORES, SMALLEST
from analysis.statistics.rank_correlation import MINIMUM_SCANS, MOST, weighted_spearman
from analysis.statistics.report_metric import Array

Columns = Mapping[str, Array]
"""Columns of a ledger by name, each of shape (rows,)."""


class RunMetric(DirectedMetric):
    """A metric of the rows of one final run."""

    needs: ClassVar[tuple[str, ...]]
    """The columns that it is computed from."""

    @abstractmethod
    def compute(self, columns: Columns, weights: Array) -> tuple[Array, Array]:
        """Compute the metric in many draws of one run's rows.

        Args:
            columns: those in ``needs``, each of shape (rows,).
            weights: how often each row counts in each draw, shape (draws, rows).

        Returns:
            The metric and its weight in the mean over folds, each of shape (draws,). NaN where it is not
            defined; a run whose weight is 0 as well says nothing and is left out of the mean.
        """

    def scaled(self, values: Array) -> Array:
        """Bring values to the scale on which folds are averaged; shape (as given)."""
        return values

    def unscaled(self, values: Array) -> Array:
        """Bring averages back to the metric's own scale; shape (as given)."""
        return values


class _MeanOfRows(RunMetric):
    """A metric that is the mean of a loss over pairs."""

    higher_is_better = False
    bounds = (0.0, np.inf)

    @abstractmethod
    def losses(self, columns: Columns) -> Array:
        """The loss of every row, shape (rows,)."""

    def compute(self, columns: Columns, weights: Array) -> tuple[Array, Array]:
        """Average the loss over the rows of each draw; the weight is their number. Both (draws,)."""
        n = weights.sum(1)
        return np.where(n > 0, weights @ self.losses(columns) / np.maximum(n, 1), np.nan), n


class DeclineAUC(RunMetric):
    """The share of the comparisons of a pair that got worse with one that did not, within a final run, in
    which the former has the higher probability of worse; ties count half (Mann and Whitney 1947). Runs weigh
    by their comparisons, so that a fold without decline says nothing."""

    name, label, endpoint = "decline_auc", "AUC of decline", DECLINE
    bounds = (0.0, 1.0)
    margin = 0.02
    needs = ("y_true", "p_worse")

    def compute(self, columns: Columns, weights: Array) -> tuple[Array, Array]:
        """Compute the AUC and the number of comparisons in every draw, both (draws,)."""
        worse, p = columns["y_true"] == 0, columns["p_worse"]
        above = p[worse][:, None] - p[~worse]
        won = (above > 0) + 0.5 * (above == 0)
        of_worse, of_other = weights[:, worse], weights[:, ~worse]
        comparisons = of_worse.sum(1) * of_other.sum(1)
        total = ((of_worse @ won) * of_other).sum(1)
        return np.where(comparisons > 0, total / np.maximum(comparisons, 1), np.nan), comparisons


class DeclineBrier(_MeanOfRows):
    """The mean of (p_worse - y)^2, y being 1 for worse and 0 for the rest (Brier 1950, one class)."""

    name, label, endpoint = "decline_brier", "Brier score of decline", DECLINE
    needs = ("y_true", "p_worse")

    def losses(self, columns: Columns) -> Array:
        """Square the distance of every probability from what happened, shape (rows,)."""
        return np.asarray((columns["p_worse"] - (columns["y_true"] == 0)) ** 2)


class DeclineLogLoss(_MeanOfRows):
    """The mean negative log-likelihood of worse or not, in nats."""

    name, label, endpoint = "decline_nll", "Log-loss of decline (nats)", DECLINE
    needs = ("y_true", "p_worse")

    def losses(self, columns: Columns) -> Array:
        """Take the negative logarithm of what was given to what happened, shape (rows,)."""
        p = np.where(columns["y_true"] == 0, columns["p_worse"], 1 - columns["p_worse"])
        return np.asarray(-np.log(np.maximum(p, SMALLEST)))


class ChangeSpearman(RunMetric):
    """Spearman's correlation of predicted and true change within a final run, averaged on Fisher's scale and
    weighted by pairs."""

    name, label, endpoint = "change_spearman", "Spearman of change", CHANGE
    bounds = (-1.0, 1.0)
    margin = 0.04
    needs = ("change", "change_pred")

    def compute(self, columns: Columns, weights: Array) -> tuple[Array, Array]:
        """Rank anew in every draw, weighted by pairs, 0 in a run of too few; both (draws,)."""
        n = weights.sum(1)
        if len(columns["change"]) < MINIMUM_SCANS:
            return np.full(len(n), np.nan), np.zeros(len(n))
        return weighted_spearman(columns["change_pred"], columns["change"], weights), n

    def scaled(self, values: Array) -> Array:
        """Fisher's z, shape (as given)."""
        return np.asarray(np.arctanh(np.clip(values, -MOST, MOST)))

    def unscaled(self, values: Array) -> Array:
        """The correlation of a Fisher's z, shape (as given)."""
        return np.asarray(np.tanh(values))


class ChangeMAE(_MeanOfRows):
    """The mean absolute difference of predicted and true change, in the score's unit."""

    name, label, endpoint = "change_mae", "MAE of change", CHANGE
    needs = ("change", "change_pred")

    def losses(self, columns: Columns) -> Array:
        """Take the absolute error of every pair, shape (rows,)."""
        return np.asarray(np.abs(columns["change_pred"] - columns["change"]))


RUN_METRICS: dict[str, RunMetric] = {
    metric.name: metric
    for metric in (DeclineAUC(), DeclineBrier(), DeclineLogLoss(), ChangeSpearman(), ChangeMAE())
}
"""Every such metric by name, in the order tables show them."""


def probability_headings(endpoint: str) -> dict[str, str]:
    """The headings of an endpoint's metrics of probabilities, by name."""
    if endpoint == PROGRESSION:
        return PROPER_SCORES
    return {name: metric.heading for name, metric in RUN_METRICS.items() if metric.endpoint == endpoint}
