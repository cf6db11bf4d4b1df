"""One vectorised patient-cluster bootstrap for every count metric and every contrast.

Patients are drawn with replacement, all pairs of a patient together (Davison and Hinkley 1997, ch. 3.8; Field
and Welsh 2007), so pairs of one patient need not be independent. A draw is a row of multinomial weights over
patients, and ``weights @ counts`` gives the confusion matrix of every draw at once; arms compared on the same
draws are paired.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from analysis.statistics.metrics import Array

DRAWS = 10_000
"""Bootstrap draws of a report, unless asked otherwise."""
LEVEL = 0.95
"""Coverage of every interval."""


@lru_cache(maxsize=8)
def patient_weights(patients: int, draws: int = DRAWS, seed: int = 0) -> Array:
    """Draw patients with replacement.

    Returns:
        How often each patient is drawn, shape (draws, patients), float32 and read-only; every row sums to the
        number of patients.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, patients, (draws, patients)) + np.arange(draws)[:, None] * patients
    weights = (
        np.bincount(drawn.ravel(), minlength=draws * patients).reshape(draws, patients).astype(np.float32)
    )
    weights.setflags(write=False)
    return weights


def resampled(weights: Array, counts: Array) -> Array:
    """Sum per-patient counts in every draw of the bootstrap.

    Args:
        weights: shape (draws, patients).
        counts: shape (patients, ...).

    Returns:
        Sums, shape (draws, ...).
    """
    flat = counts.reshape(len(counts), -1).astype(np.float32)
    drawn: Array = (weights @ flat).astype(np.float64)
    return drawn.reshape(len(weights), *counts.shape[1:])


def interval(draws: Array, level: float = LEVEL) -> tuple[float, float]:
    """Compute the percentile interval (Efron and Tibshirani 1993, ch. 13), undefined draws left out."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(differences: Array) -> float:
    """Compute the two-sided p of no difference: twice the smaller tail, counting the observed sample once.

    The (k + 1) / (B + 1) form of Davison and Hinkley (1997, eq. 4.11), so p is never 0.
    """
    known = differences[np.isfinite(differences)]
    if not len(known):
        return float("nan")
    tail = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(known) + 1)))
