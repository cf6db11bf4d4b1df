"""Whether a difference between arms varies between the levels of a grouping: one F test per grouping.

The statistic is Cochran's Q (1954, Biometrics 10): the sum of squares of the levels' deviations from their
common mean, weighted by precision. The covariance V of the differences d over patients is that of the
jackknife which leaves out one patient from all levels at once: a patient who lies in several, as with
intervals between visits, makes their differences covary, and V holds that. With P, the projection which takes
out what is common to all levels,

    r = P V^(-1/2) d,    Q = r' r,    F = Q / ((L - 1) phi)

Training noise is not in V. So the whole variance of each deviation in r is estimated by the statistic behind
the verdicts (``estimate.py``), and phi is their sum over the part of patients, which is L - 1. To divide a
Wald statistic by such a mean design effect is the first-order correction of Rao and Scott (1981, Journal of
the American Statistical Association 76; as an F: Thomas and Rao 1987, ibid. 82). For two levels F is the
square of the t of their difference. For more V itself is estimated: the factor (df - L + 2) / df and the loss
of L - 2 degrees of freedom are Hotelling's (1931, Annals of Mathematical Statistics 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from analysis.statistics.estimate import Estimate, estimated
from analysis.statistics.influence import Influence, combined
from analysis.statistics.metrics import Array

LEAST_VARIANCE = 1e-9
"""Share of the largest variance below which a direction does not vary, so that nothing can be tested."""


@dataclass(frozen=True)
class Heterogeneity:
    """A test of equal differences in all levels."""

    pooled: Estimate
    """The root of Q / (L - 1), which the mean variance of the deviations belongs to: for two levels their
    difference, in units of its standard deviation over patients."""
    contrasts: int
    """Numerator degrees of freedom: one less than there are levels."""

    @property
    def degrees(self) -> float:
        """Denominator degrees of freedom."""
        return max(self.pooled.degrees - self.contrasts + 1, 1.0)

    @property
    def f(self) -> float:
        """The F statistic; NaN where the variance is not known."""
        if not np.isfinite(self.pooled.variance):
            return float("nan")
        return self.degrees / self.pooled.degrees * self.pooled.value**2 / self.pooled.variance

    @property
    def p(self) -> float:
        """The p of equal differences in all levels; NaN where there is no test."""
        return float(fdtrc(self.contrasts, self.degrees, self.f)) if np.isfinite(self.f) else float("nan")


def heterogeneity(
    levels: Sequence[Influence], fold: NDArray[np.int64], repeats: NDArray[np.int64]
) -> Heterogeneity:
    """Test whether a difference is the same in all levels.

    Args:
        levels: the difference in each level, all of the same rounds and patients; two levels at least.
        fold: the fold that tests each patient in each round, shape (rounds, patients).
        repeats: the repeat of each round, shape (rounds,).

    Returns:
        The test; without an F where a difference varies in no patient, or is not defined without one.
    """
    standardising = _inverse_root(_covariance(levels))
    if standardising is None:
        nothing = Estimate(value=float("nan"), patients=float("nan"), patients_degrees=1.0)
        return Heterogeneity(nothing, len(levels) - 1)
    common = standardising.sum(1)
    projection = np.eye(len(levels)) - np.outer(common, common) / (common @ common)
    deviations = [combined(row, levels) for row in projection @ standardising]
    found = [estimated(d.value, d.by_round, fold, repeats, left_out=d.left_out) for d in deviations]
    return Heterogeneity(_pooled(found), len(levels) - 1)


def _covariance(statistics: Sequence[Influence]) -> Array:
    """The jackknife's covariance over patients, shape (statistics, statistics)."""
    seen = np.stack([np.isfinite(each.by_round).any(0) for each in statistics]).any(0)
    left_out = np.stack([each.left_out[seen] for each in statistics])
    n = left_out.shape[1]
    deviation = left_out - left_out.mean(1, keepdims=True)
    covariance: Array = deviation @ deviation.T * (n - 1) / n
    return covariance


def _inverse_root(covariance: Array) -> Array | None:
    """The symmetric root of the inverse, shape (levels, levels), which treats all levels alike; None where it
    has none."""
    if not np.isfinite(covariance).all():
        return None
    values, vectors = np.linalg.eigh(covariance)
    if values[0] <= LEAST_VARIANCE * values[-1]:
        return None
    root: Array = (vectors / np.sqrt(values)) @ vectors.T
    return root


def _pooled(deviations: Sequence[Estimate]) -> Estimate:
    """The deviations' squares and variances, summed over levels and divided by the contrasts."""
    weights = np.array([each.patients for each in deviations])
    contrasts = len(deviations) - 1
    return replace(
        deviations[0],
        value=float(np.sqrt(sum(each.value**2 for each in deviations) / contrasts)),
        patients=float(weights.sum() / contrasts),
        patients_degrees=float(np.average([each.patients_degrees for each in deviations], weights=weights)),
        seeds=sum(each.seeds for each in deviations) / contrasts,
        training=sum(each.training for each in deviations) / contrasts,
    )
