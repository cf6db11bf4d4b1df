"""Tests over cross-validation folds whose training sets overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import stdtr

from analysis.statistics.metrics import Array


@dataclass(frozen=True)
class CorrectedT:
    """The mean difference over J test folds with its corrected Student t."""

    mean: float
    scale: float
    """Corrected standard error, sqrt((1/J + n_test/n_train) s^2)."""
    degrees: int
    """Degrees of freedom, J - 1."""
    p: float
    """Two-sided p; NaN with fewer than two test folds."""


def nadeau_bengio(differences: Array, test_share: float) -> CorrectedT:
    """Run the corrected resampled t test (Nadeau and Bengio 2003, Machine Learning 52, eq. 9).

    Args:
        differences: shape (J,), one per test fold (J = folds x repeats), already averaged over seeds.
        test_share: n_test / n; the correction uses n_test / n_train = share / (1 - share).
    """
    known = differences[np.isfinite(differences)]
    j = len(known)
    if j < 2 or not 0 < test_share < 1:
        return CorrectedT(
            float(known.mean()) if j else float("nan"), float("nan"), max(j - 1, 0), float("nan")
        )
    mean, variance = float(known.mean()), float(known.var(ddof=1))
    scale = float(np.sqrt((1 / j + test_share / (1 - test_share)) * variance))
    if scale == 0:
        return CorrectedT(mean, 0.0, j - 1, 1.0 if mean == 0 else 0.0)
    return CorrectedT(mean, scale, j - 1, float(2 * stdtr(j - 1, -abs(mean) / scale)))


class Located(Protocol):
    """A Student t distribution: what ``equivalence`` asks of an estimate or a test."""

    @property
    def mean(self) -> float:
        """Where it lies."""

    @property
    def scale(self) -> float:
        """Its standard error."""

    @property
    def degrees(self) -> float:
        """Its degrees of freedom."""


def equivalence(test: Located, margin: float | None) -> tuple[float, float, float]:
    """Compute P(lower), P(practically equivalent) and P(higher): the Bayesian view of a t statistic.

    NaN without a margin of equivalence.

    With a flat prior the posterior of the difference is Student t with the estimate's standard error (as in
    the Bayesian correlated t test: Corani and Benavoli 2015, Machine Learning 100; Benavoli et al. 2017, JMLR
    18(77), sec. 4.1).
    """
    if margin is None or not np.isfinite(test.scale):
        return float("nan"), float("nan"), float("nan")
    if test.scale == 0:
        return float(test.mean < -margin), float(abs(test.mean) <= margin), float(test.mean > margin)
    lower = float(stdtr(test.degrees, (-margin - test.mean) / test.scale))
    higher = float(stdtr(test.degrees, (test.mean - margin) / test.scale))
    return lower, max(0.0, 1 - lower - higher), higher
