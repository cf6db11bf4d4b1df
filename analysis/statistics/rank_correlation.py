"""Rank correlation out of fold: of predicted and true scores, or of embedding distance and change."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import DRAWS, interval, patient_weights, resampled
from analysis.statistics.metrics import Array

MINIMUM_SCANS = 4
"""Rows of a round below which it is not ranked."""


def correlation(moments: Array) -> Array:
    """Compute Pearson's correlation from sums.

    Args:
        moments: sums of 1, x, y, xx, yy and xy along the last axis, shape (..., 6).

    Returns:
        Shape (...); NaN without spread. A spread below 1e-9 of the raw sum of squares is taken for rounding.
    """
    n, x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    n = np.where(n > 0, n, np.nan)
    sxx, syy = xx - x * x / n, yy - y * y / n
    spread = (sxx > 1e-9 * xx) & (syy > 1e-9 * yy)
    return np.where(spread, (xy - x * y / n) / np.sqrt(np.where(spread, sxx * syy, 1)), np.nan)


def spearman_by_arm(table: pd.DataFrame, first: str, second: str, draws: int = DRAWS) -> pd.DataFrame:
    """Compute the out-of-fold Spearman correlation per arm with its patient-bootstrap interval.

    Rows of all folds are pooled per round (repeat and seed), ranked within the round, and the rounds'
    correlations are averaged. Ranks stay those of the observed sample in every draw, which makes the interval
    a product of matrices.

    Args:
        table: columns arm, repeat, seed, patient and the two named.

    Returns:
        One row per arm: value, low, high, seed_sd (between rounds), rows. None for an arm
        whose correlation is not defined in some round.
    """
    known = table.dropna(subset=[first, second])
    if known.empty:
        return pd.DataFrame(columns=["arm", "value", "low", "high", "seed_sd", "rows"])
    patient, patients = pd.factorize(known["patient"], sort=True)
    weights = patient_weights(len(patients), draws)
    known = known.assign(_patient=patient)
    rows = []
    for arm, group in known.groupby("arm", sort=False):
        moments = np.stack(
            [_rank_moments(g, first, second, len(patients)) for _, g in group.groupby(["repeat", "seed"])]
        )
        rounds = correlation(moments.sum(1))
        if np.isnan(rounds).any():
            continue  # an encoder that collapsed in one run orders nobody there
        drawn = correlation(resampled(weights, np.moveaxis(moments, 0, 1)))
        low, high = interval(np.nanmean(drawn, 1))
        seed_sd = float(rounds.std(ddof=1)) if len(rounds) > 1 else float("nan")
        rows.append(
            {"arm": arm, "value": float(rounds.mean()), "low": low, "high": high, "seed_sd": seed_sd,
             "rows": len(group)}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["arm", "value", "low", "high", "seed_sd", "rows"])


def _rank_moments(group: pd.DataFrame, first: str, second: str, patients: int) -> Array:
    """Per patient sums of 1, x, y, xx, yy, xy, with x and y centred mid-ranks scaled to at most 1."""
    code = group["_patient"].to_numpy()
    if len(group) < MINIMUM_SCANS:
        return np.zeros((patients, 6))
    half = (len(group) + 1) / 2
    x, y = ((group[name].rank().to_numpy() - half) / half for name in (first, second))
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return np.stack([np.bincount(code, c, minlength=patients) for c in columns], axis=1)
