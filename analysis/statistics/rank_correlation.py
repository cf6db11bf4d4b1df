"""Rank correlation out of fold: of predicted and true scores, or of embedding distance and change.

Every final run has an encoder of its own, whose scores and distances lie on a scale of its own. So rows are
ranked within each final run, the runs' correlations are averaged on Fisher's scale, and what comes of ranking
all folds together stands beside it as a question of its own: do the folds' encoders agree on the scale?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.bootstrap import DRAWS, interval, patient_weights
from analysis.statistics.metrics import Array

MINIMUM_SCANS = 4
"""Rows of a final run below which it is not ranked."""
MOST = 0.999
"""Correlation beyond which Fisher's z does not rise: a perfect order of few scans would be infinite."""
CHUNK = 500
"""Draws ranked at a time, so that memory stays small."""

COLUMNS = ["arm", "value", "low", "high", "seed_sd", "pooled", "rows", "runs"]


def weighted_spearman(first: Array, second: Array, weights: Array) -> Array:
    """Compute Spearman's correlation of rows that count several times each, in many draws at once.

    Args:
        first: shape (rows,).
        second: shape (rows,).
        weights: how often each row counts in each draw, shape (draws, rows).

    Returns:
        Shape (draws,), ranks taken anew in every draw, equal values sharing their middle rank; NaN where a
        draw has fewer than two different values of either.
    """
    x, y = (_weighted_ranks(values, weights) for values in (first, second))
    n = weights.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = x - (weights * x).sum(1, keepdims=True) / n, y - (weights * y).sum(1, keepdims=True) / n
        xx, yy, xy = ((weights * product).sum(1) for product in (x * x, y * y, x * y))
        spread = (xx > 1e-9) & (yy > 1e-9)
        return np.asarray(np.where(spread, xy / np.sqrt(np.where(spread, xx * yy, 1)), np.nan))


def _weighted_ranks(values: Array, weights: Array) -> Array:
    """Middle ranks of rows that count several times each: shape (draws, rows)."""
    order = np.argsort(values, kind="stable")
    level = np.unique(values, return_inverse=True)[1].ravel()
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    of_level = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(of_level, axis=1) - (of_level - 1) / 2
    return np.asarray(middle[:, level])


def fisher_mean(correlations: Array, sizes: Array) -> Array:
    """Average correlations on Fisher's scale, weighted by how many rows each rests on.

    Args:
        correlations: shape (runs, ...), NaN where one is not defined.
        sizes: rows behind each, shape (runs, ...).

    Returns:
        Shape (...); NaN where none is defined.
    """
    known = np.isfinite(correlations)
    z = np.arctanh(np.clip(np.where(known, correlations, 0), -MOST, MOST))
    weights = np.where(known, sizes, 0)
    total = weights.sum(0)
    return np.asarray(np.where(total > 0, np.tanh((weights * z).sum(0) / np.maximum(total, 1e-12)), np.nan))


@dataclass(frozen=True)
class _Run:
    """The rows of one final run, or of all folds of one round."""

    round: tuple[int, int]
    """Repeat and seed."""
    first: Array
    second: Array
    patient: NDArray[np.intp]

    def drawn(self, weights: Array) -> tuple[Array, Array]:
        """The correlation and the number of rows in every draw of patients."""
        rows = weights[:, self.patient]
        return weighted_spearman(self.first, self.second, rows), rows.sum(1)


def spearman_by_arm(table: pd.DataFrame, first: str, second: str, draws: int = DRAWS) -> pd.DataFrame:
    """Compute the out-of-fold Spearman correlation per arm with its patient-bootstrap interval.

    Rows are ranked within each final run (repeat, seed and fold), and anew in every draw of patients; the
    runs' correlations are averaged by ``fisher_mean``.

    Args:
        table: columns arm, repeat, seed, fold, patient and the two named.
        first: the one column.
        second: the other.
        draws: of the patient bootstrap.

    Returns:
        One row per arm: value, low, high, seed_sd (between rounds, each the mean over its folds), ``pooled``
        (all folds of a round ranked together, averaged over rounds), rows, runs. None for an arm whose
        correlation is not defined in some final run: an encoder that collapsed orders nobody there.
    """
    known = table.dropna(subset=[first, second])
    if known.empty:
        return pd.DataFrame(columns=COLUMNS)
    patient, patients = pd.factorize(known["patient"], sort=True)
    weights = patient_weights(len(patients), draws)
    known = known.assign(_patient=patient)
    rows = []
    for arm, group in known.groupby("arm", sort=False):
        runs = [run for run in _runs(group, first, second, True) if len(run.first) >= MINIMUM_SCANS]
        found = _within(runs)
        if found is None:
            continue
        value, seed_sd = found
        low, high = interval(_centred(_bootstrapped(runs, weights), value))
        pooled = fisher_mean(*_observed(_runs(group, first, second, False)))
        rows.append(
            {"arm": arm, "value": value, "low": low, "high": high, "seed_sd": seed_sd,
             "pooled": float(pooled), "rows": len(group), "runs": len(runs)}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _runs(group: pd.DataFrame, first: str, second: str, by_fold: bool) -> list[_Run]:
    keys = ["repeat", "seed", "fold"] if by_fold else ["repeat", "seed"]
    return [
        _Run(
            round=(int(of_run["repeat"].iloc[0]), int(of_run["seed"].iloc[0])),
            first=of_run[first].to_numpy(dtype=np.float64),
            second=of_run[second].to_numpy(dtype=np.float64),
            patient=of_run["_patient"].to_numpy(),
        )
        for _, of_run in group.groupby(keys)
    ]


def _observed(runs: Sequence[_Run]) -> tuple[Array, Array]:
    sizes = np.array([len(run.first) for run in runs], dtype=np.float64)
    once = [weighted_spearman(run.first, run.second, np.ones((1, len(run.first))))[0] for run in runs]
    return np.array(once), sizes


def _within(runs: Sequence[_Run]) -> tuple[float, float] | None:
    """The mean over all runs and the spread of the rounds' means; None where one is not defined."""
    correlations, sizes = _observed(runs)
    if not len(correlations) or np.isnan(correlations).any():
        return None
    rounds = dict.fromkeys(run.round for run in runs)
    of_round = np.array([[run.round == each for run in runs] for each in rounds])
    means = [float(fisher_mean(correlations[mask], sizes[mask])) for mask in of_round]
    seed_sd = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    return float(fisher_mean(correlations, sizes)), seed_sd


def _centred(drawn: Array, value: float) -> Array:
    """Move the draws' mean to the observed value, on Fisher's scale.

    Of n rows Spearman's correlation falls short of that of very many by about (3 rho - 3 tau) / n; drawn rows
    fall short of the observed ones by as much once more.
    """
    z, observed = (np.arctanh(np.clip(r, -MOST, MOST)) for r in (drawn, value))
    return np.asarray(np.tanh(z - np.nanmean(z) + observed))


def _bootstrapped(runs: Sequence[_Run], weights: Array) -> Array:
    """The mean over runs in every draw of patients, shape (draws,)."""
    found = []
    for start in range(0, len(weights), CHUNK):
        drawn = [run.drawn(weights[start : start + CHUNK]) for run in runs]
        found.append(fisher_mean(np.stack([r for r, _ in drawn]), np.stack([n for _, n in drawn])))
    return np.concatenate(found)
