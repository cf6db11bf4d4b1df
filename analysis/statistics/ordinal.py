"""Ordinal analysis: a proportional-odds model of the true class by an arm's prediction.

logit P(class > k) = -alpha_k + beta' x for the ordered classes worse, same, better (McCullagh 1980), with the
sandwich covariance of clusters of patients (Liang and Zeger 1986), and t intervals with one degree of freedom
less than there are clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from analysis.statistics.bootstrap import LEVEL
from analysis.statistics.metrics import Array

STEPS = 50
"""Newton steps after which a model counts as one that does not converge."""
STEEPEST = 15.0
"""Coefficient per SD beyond which the classes count as separated: there is no finite estimate."""
COLUMNS = [
    "arm", "odds_ratio", "low", "high", "adjusted", "adjusted_low", "adjusted_high", "adjusted_not_worse",
    "adjusted_better", "pairs", "patients",
]  # fmt: skip


@dataclass(frozen=True)
class OddsRatio:
    """The odds ratio of a higher class per SD of a predictor, with its 95 % interval."""

    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")


def odds_ratio(y: NDArray[np.int64], x: Array, clusters: NDArray[np.int64]) -> OddsRatio:
    """Fit a cumulative logit model and return the odds ratio of the first predictor.

    Args:
        y: ordered classes, whole numbers, shape (n,); two classes make it an ordinary logistic model.
        x: predictors, shape (n, k); each is divided by its SD.
        clusters: the cluster of each row, shape (n,).

    Returns:
        Not a number where a predictor is constant, the classes are separated, or there are too few clusters.
    """
    spread = x.std(0)
    levels, y = np.unique(y, return_inverse=True)
    known = np.unique(clusters)
    if (spread < 1e-9).any() or len(levels) < 2 or len(known) < x.shape[1] + len(levels):
        return OddsRatio()
    x = (x - x.mean(0)) / spread
    cuts = len(levels) - 1
    shares = np.array([(y <= k).mean() for k in range(cuts)])
    at = np.concatenate([logit(shares), np.zeros(x.shape[1])])
    for _ in range(STEPS):
        step = _solve(_hessian(at, y, x, cuts), _scores(at, y, x, cuts).sum(0))
        at = at - step
        if not np.isfinite(at).all() or (np.diff(at[:cuts]) <= 0).any() or np.abs(at[cuts:]).max() > STEEPEST:
            return OddsRatio()
        if np.abs(step).max() < 1e-8:
            break
    else:
        return OddsRatio()
    return _with_interval(at, y, x, cuts, np.searchsorted(known, clusters))


def _with_interval(
    at: Array, y: NDArray[np.int64], x: Array, cuts: int, clusters: NDArray[np.int64]
) -> OddsRatio:
    scores = _scores(at, y, x, cuts)
    number = int(clusters.max()) + 1
    by_cluster = np.stack([np.bincount(clusters, column, number) for column in scores.T], axis=1)
    meat = by_cluster.T @ by_cluster * number / (number - 1)
    hessian = _hessian(at, y, x, cuts)
    covariance = _solve(hessian, _solve(hessian, meat).T)
    half = float(student.ppf((1 + LEVEL) / 2, number - 1) * np.sqrt(covariance[cuts, cuts]))
    beta = float(at[cuts])
    return OddsRatio(*(float(np.exp(b)) for b in (beta, beta - half, beta + half)))


def _scores(at: Array, y: NDArray[np.int64], x: Array, cuts: int) -> Array:
    """The gradient of each row's log-likelihood, shape (n, cuts + k)."""
    bounds = np.concatenate([[-np.inf], at[:cuts], [np.inf]])
    eta = x @ at[cuts:]
    low, high = expit(bounds[y] - eta), expit(bounds[y + 1] - eta)
    p = np.maximum(high - low, 1e-300)
    gradient = np.zeros((len(y), cuts + x.shape[1]))
    for k in range(cuts):
        gradient[:, k] = np.where(y == k, high * (1 - high), np.where(y == k + 1, -low * (1 - low), 0)) / p
    gradient[:, cuts:] = (high + low - 1)[:, None] * x
    return gradient


def _hessian(at: Array, y: NDArray[np.int64], x: Array, cuts: int, width: float = 1e-5) -> Array:
    """Central differences of the gradient, shape (cuts + k, cuts + k)."""
    steps = np.eye(len(at)) * width
    rows = [_scores(at + s, y, x, cuts).sum(0) - _scores(at - s, y, x, cuts).sum(0) for s in steps]
    hessian = np.stack(rows) / (2 * width)
    return np.asarray((hessian + hessian.T) / 2)


def _solve(matrix: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        return np.full(right.shape, np.nan)


def ordinal_by_arm(ledger: pd.DataFrame) -> pd.DataFrame:
    """Compute per arm the odds ratio of a higher true class per SD of what the arm predicts.

    What an arm predicts of a pair is p_better - p_worse, out of fold, averaged over seeds and repeats.

    Args:
        ledger: columns arm, patient, pair, y_true, p_worse, p_better and, where known, score_earlier.

    Returns:
        One row per arm: ``odds_ratio`` with ``low`` and ``high``; ``adjusted`` with its interval for the
        earlier score in the same model; and, as a check of proportional odds, the adjusted ratio of the two
        cuts by themselves, same or better against worse (``adjusted_not_worse``) and better against the rest
        (``adjusted_better``).
    """
    rows = []
    has_score = "score_earlier" in ledger
    for arm, group in ledger.groupby("arm", sort=False):
        group = group.assign(predicted=group["p_better"] - group["p_worse"])
        wanted = ["y_true", "predicted", *(["score_earlier"] if has_score else [])]
        of_pair = group.groupby(["patient", "pair"], sort=True)[wanted].mean().reset_index()
        y = of_pair["y_true"].to_numpy(np.int64)
        clusters = pd.factorize(of_pair["patient"])[0].astype(np.int64)
        x = of_pair[wanted[1:]].to_numpy(float)
        alone = odds_ratio(y, x[:, :1], clusters)
        adjusted = not_worse = better = OddsRatio()
        if has_score and np.isfinite(x).all():
            adjusted = odds_ratio(y, x, clusters)
            not_worse, better = (odds_ratio((y > k).astype(np.int64), x, clusters) for k in (0, 1))
        rows.append(
            [arm, alone.value, alone.low, alone.high, adjusted.value, adjusted.low, adjusted.high,
             not_worse.value, better.value, len(of_pair), of_pair["patient"].nunique()]
        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)
