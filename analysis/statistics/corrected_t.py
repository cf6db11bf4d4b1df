"""Tests over cross-validation folds whose training sets overlap."""

from __future__ import annotations

from dataclasses import dataclass

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


def equivalence(test: CorrectedT, margin: float | None) -> tuple[float, float, float]:
    """Compute P(lower), P(practically equivalent) and P(higher) by the Bayesian correlated t test.

    NaN without a margin of equivalence.

    The posterior of the mean difference is Student t with the corrected scale (Corani and Benavoli 2015,
    Machine Learning 100; Benavoli et al. 2017, JMLR 18(77), sec. 4.1), with their correlation rho = n_test /
    n.
    """
    if margin is None or not np.isfinite(test.scale):
        return float("nan"), float("nan"), float("nan")
    if test.scale == 0:
        return float(test.mean < -margin), float(abs(test.mean) <= margin), float(test.mean > margin)
    lower = float(stdtr(test.degrees, (-margin - test.mean) / test.scale))
    higher = float(stdtr(test.degrees, (test.mean - margin) / test.scale))
    return lower, max(0.0, 1 - lower - higher), higher
