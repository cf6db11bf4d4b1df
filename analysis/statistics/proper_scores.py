"""Proper scores of the predicted probabilities, and how well those are calibrated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.parquet_tables import PROBABILITIES
from analysis.statistics.estimate import Estimate
from analysis.statistics.metrics import Array
from analysis.statistics.rounds import Rounds

SMALLEST = 1e-6
"""Probabilities are raised to this before the logarithm, so that one sure mistake costs 13.8 nats."""

PROPER_SCORES = {"brier": "Brier score (lower is better)", "nll": "Log-loss (nats, lower is better)"}


def class_probabilities(ledger: pd.DataFrame) -> Array:
    """The probabilities of every row, shape (rows, 3); (rows, 2) of worse and not worse where the endpoint is
    decline, of which a ledger holds that of worse alone."""
    p: Array = ledger[PROBABILITIES].to_numpy(dtype=np.float64)
    return np.stack([p[:, 0], 1 - p[:, 0]], axis=1) if np.isnan(p[:, 1:]).all() else p


def pair_scores(ledger: pd.DataFrame) -> pd.DataFrame:
    """Score the probabilities of every row of a ledger; lower is better.

    Returns:
        ``brier`` (Brier 1950, summed over the classes) and ``nll`` (log-loss in nats), indexed as the
        ledger.
    """
    p = class_probabilities(ledger)
    y = ledger["y_true"].to_numpy(dtype=np.int64)
    brier = ((p - np.eye(p.shape[1])[y]) ** 2).sum(1)
    nll = -np.log(np.maximum(p[np.arange(len(p)), y], SMALLEST))
    return pd.DataFrame({"brier": brier, "nll": nll}, index=ledger.index)


def proper_scores(ledger: pd.DataFrame) -> pd.DataFrame:
    """Average the scores per arm, with intervals of the kind that every metric has.

    Returns:
        The columns of ``Comparison.metrics``, one row per arm and score.
    """
    table = ledger[["arm", "repeat", "fold", "seed", "patient"]].join(pair_scores(ledger))
    rows = []
    for arm, group in table.groupby("arm", sort=False):
        for name in PROPER_SCORES:
            found = _mean_estimate(group, name)
            low, high = found.interval()
            by_seed = group.groupby(["repeat", "seed"])[name].mean().groupby("repeat").var()
            row = {"arm": arm, "metric": name, "value": found.value, "low": max(low, 0.0), "high": high}
            rows.append(row | {"seed_sd": float(np.sqrt(by_seed.mean()))})
    return pd.DataFrame(rows)


def _mean_estimate(rows: pd.DataFrame, name: str) -> Estimate:
    """Estimate the mean of a score over all pairs of one arm."""
    score = rows[name].to_numpy(dtype=np.float64)
    value = float(score.mean())
    return Rounds.of(rows).estimate(value, (score - value) / len(score))


def reliability(ledger: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed frequencies: all three classes pooled one against the rest, or worse
    alone where there are two.

    Returns:
        One row per arm and occupied bin of equal width: predicted, observed, count.
    """
    p = class_probabilities(ledger)
    hit = np.eye(p.shape[1])[ledger["y_true"].to_numpy(dtype=np.int64)]
    if p.shape[1] == 2:
        p, hit = p[:, :1], hit[:, :1]
    table = pd.DataFrame(
        {
            "arm": np.repeat(ledger["arm"].to_numpy(), p.shape[1]),
            "bin": np.minimum((p * bins).astype(np.int64), bins - 1).ravel(),
            "predicted": p.ravel(),
            "observed": hit.ravel(),
        }
    )
    grouped = table.groupby(["arm", "bin"], sort=False)
    means = grouped[["predicted", "observed"]].mean().assign(count=grouped.size())
    return means.reset_index().sort_values(["arm", "bin"], ignore_index=True)
