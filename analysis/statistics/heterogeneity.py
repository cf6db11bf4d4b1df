"""Whether a difference between arms varies between the levels of a grouping: one F test per grouping.

The differences in L levels give L - 1 contrasts d. Their covariance over patients, V, is that of the jackknife
which leaves out one patient from all levels at once: a patient who lies in several levels, as with intervals
between visits, makes their differences covary, and V holds that. Training noise is not in V. So the contrasts
are turned into independent ones of variance 1 by V, the whole variance of each is estimated by the statistic
behind the verdicts (``estimate.py``), and the mean of these divides the sum of squares:

    F = d' V^-1 d / ((L - 1) * phi),    phi = mean over contrasts of variance / variance over patients

To divide a Wald statistic by a mean design effect is the first-order correction of Rao and Scott (1981,
Journal of the American Statistical Association 76; as an F: Thomas and Rao 1987, ibid. 82). For two levels F
is the square of the t of their difference. For more V itself is estimated: the factor (df - L + 2) / df and
the loss of L - 2 degrees of freedom are Hotelling's (1931, Annals of Mathematical Statistics 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import fdtrc

from analysis.statistics.estimate import Estimate, estimated
from analysis.statistics.influence import Influence, combined
from analysis.statistics.metrics import Array


@dataclass(frozen=True)
class Heterogeneity:
    """A test of equal differences in all levels."""

    pooled: Estimate
    """The root mean square of the contrasts in units of their standard deviation over patients, with the mean
    of their variances: for two levels the difference of the two differences in that unit."""
    contrasts: int
    """Numerator degrees of freedom: one less than there are levels."""

    @property
    def degrees(self) -> float:
        """Denominator degrees of freedom."""
        return max(self.pooled.degrees - self.contrasts + 1, 1.0)

    @property
    def f(self) -> float:
        """The F statistic; NaN where the variance cannot be told."""
        if not np.isfinite(self.pooled.variance) or self.pooled.variance <= 0:
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
    """
    count = len(levels) - 1
    differences = [combined(row, levels) for row in np.eye(count, count + 1) - np.eye(count, count + 1, 1)]
    covariance = _covariance(differences)
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:  # some contrast does not vary at all, or is not defined without a patient
        root = np.full_like(covariance, np.nan)
    if not np.isfinite(root).all():
        nothing = Estimate(value=float("nan"), patients=float("nan"), patients_degrees=1.0)
        return Heterogeneity(nothing, count)
    whitened = [combined(row, differences) for row in solve_triangular(root, np.eye(count), lower=True)]
    return Heterogeneity(
        _pooled([estimated(w.value, w.by_round, fold, repeats, left_out=w.left_out) for w in whitened]), count
    )


def _covariance(statistics: Sequence[Influence]) -> Array:
    """The jackknife's covariance over patients, shape (statistics, statistics)."""
    seen = np.stack([np.isfinite(each.by_round).any(0) for each in statistics]).any(0)
    left_out = np.stack([each.left_out[seen] for each in statistics])
    n = left_out.shape[1]
    deviation = left_out - left_out.mean(1, keepdims=True)
    covariance: Array = deviation @ deviation.T * (n - 1) / n
    return covariance


def _pooled(contrasts: Sequence[Estimate]) -> Estimate:
    """The mean of independent contrasts' squares and variances."""
    if len(contrasts) == 1:
        return contrasts[0]

    def mean(name: str) -> float:
        return float(np.mean([getattr(each, name) for each in contrasts]))

    return replace(
        contrasts[0],
        value=float(np.sqrt(np.mean([each.value**2 for each in contrasts]))),
        **{name: mean(name) for name in ("patients", "patients_degrees", "seeds", "training")},
    )
