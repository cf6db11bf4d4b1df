"""Calibration intercept and slope of each class's probability, one class against the rest.

The logistic recalibration model (Cox 1958; Van Calster et al. 2019, BMC Medicine 17:230)::

    intercept a:  logit P(class) = a + logit(p)          0 is right; above, probabilities are too low
    slope b:      logit P(class) = a_run + b logit(p)    1 is right; below, they are too extreme

Runs (arm, repeat, fold, seed) have different models, so the slope is one *within* runs: each run has an
intercept ``a_run`` of its own, and rows of different runs meet in ``b`` alone. The intercept ``a`` is one for
all runs, hence their mean error.

Intervals are those of the estimate behind the verdicts (``estimate.py``): patients, and what training does
beyond them, as seeds, folds and repeats show it. Both statistics are maximum-likelihood estimates, so a row's
influence is its score over the information (Hampel 1974, Journal of the American Statistical Association 69);
the slope's score is the efficient one, without what the runs' intercepts take up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from analysis.results.endpoints import CLASSES, PROGRESSION
from analysis.results.parquet_tables import PROBABILITIES
from analysis.statistics.estimate import Estimate
from analysis.statistics.metrics import Array
from analysis.statistics.proper_scores import SMALLEST
from analysis.statistics.rounds import Codes, Rounds

FEWEST_EVENTS = 10
"""Pairs in the class, and out of it, below which nothing is estimated."""
NONE = Estimate(value=np.nan, patients=np.nan, patients_degrees=1.0)
_STEPS, _CLOSE = 50, 1e-9
_LARGEST = 50.0
"""A slope beyond this means that the classes are separated: there is no finite fit."""


def recalibration(ledger: pd.DataFrame) -> pd.DataFrame:
    """Estimate intercept and slope of each arm and class, with 95 % intervals.

    Args:
        ledger: columns arm, repeat, fold, seed, patient, pair, y_true and the probabilities.

    Returns:
        One row per arm and class: ``events`` (pairs of the class), ``pairs``, ``intercept``,
        ``intercept_low``, ``intercept_high``, and the same for ``slope``. NaN with fewer than
        ``FEWEST_EVENTS`` events or non-events, and for a slope without spread of the probability within any
        run.
    """
    rows: list[dict[str, Any]] = []
    for arm, own in ledger.groupby("arm", sort=False):
        rounds = Rounds.of(own)
        run = own.groupby(["repeat", "fold", "seed"]).ngroup().to_numpy().astype(np.int64)
        once = own.drop_duplicates(["patient", "pair"])["y_true"]
        for index, name in enumerate(CLASSES[PROGRESSION]):
            if own[PROBABILITIES[index]].isna().all():  # of decline the probability of worse is written alone
                continue
            p = np.clip(own[PROBABILITIES[index]].to_numpy(np.float64), SMALLEST, 1 - SMALLEST)
            y = (own["y_true"] == index).to_numpy().astype(np.float64)
            events, x = int((once == index).sum()), np.log(p / (1 - p))
            row: dict[str, Any] = {"arm": arm, "class": name, "events": events, "pairs": len(once)}
            enough = min(events, len(once) - events) >= FEWEST_EVENTS
            fits = {"intercept": intercept(x, y), "slope": slope(x, y, run)} if enough else {}
            for what in ("intercept", "slope"):
                found = rounds.estimate(*fits[what]) if fits else NONE
                low, high = found.interval()
                row |= {what: found.value, f"{what}_low": low, f"{what}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def intercept(x: Array, y: Array) -> tuple[float, Array]:
    """Fit the intercept with the slope fixed at 1, by maximum likelihood.

    Args:
        x: logits of the predicted probability, shape (rows,).
        y: 1 where the row is of the class, else 0, shape (rows,).

    Returns:
        The intercept, and the influence of each row on it, shape (rows,).
    """
    a = 0.0
    for _ in range(_STEPS):
        p = expit(x + a)
        # A step of at most 1 cannot leave the region where the information is known.
        step = float(np.clip((y - p).sum() / (p * (1 - p)).sum(), -1, 1))
        a += step
        if abs(step) < _CLOSE:
            break
    p = expit(x + a)
    return a, (y - p) / (p * (1 - p)).sum()


@dataclass(frozen=True)
class _Rows:
    """Rows of one arm and class, in runs that tell something of the slope."""

    x: Array
    y: Array
    run: Codes
    runs: int

    def parts(self, a: Array, b: float) -> tuple[Array, Array, Array, float, float]:
        """Score, information and cross information of the runs' intercepts, shape (runs,) each, then score
        and information of the slope."""
        p = expit(a[self.run] + b * self.x)
        v = p * (1 - p)
        u, i, c = (_summed(self.run, part, self.runs) for part in (self.y - p, v, v * self.x))
        return u, i, c, float(((self.y - p) * self.x).sum()), float((v * self.x**2).sum())

    def likelihood(self, a: Array, b: float) -> float:
        linear = a[self.run] + b * self.x
        return float((self.y * linear - np.logaddexp(0, linear)).sum())


def _summed(owner: Codes, values: Array, size: int) -> Array:
    return np.bincount(owner, values, minlength=size).astype(np.float64)


def slope(x: Array, y: Array, run: Codes) -> tuple[float, Array]:
    """Fit one slope with an intercept per run, by maximum likelihood.

    Runs in which all rows or none are of the class say nothing of the slope and drop out, as do runs whose
    probabilities are all equal.

    Args:
        x: logits of the predicted probability, shape (rows,).
        y: 1 where the row is of the class, else 0, shape (rows,).
        run: the run of each row, from 0, shape (rows,).

    Returns:
        The slope, and the influence of each row on it, shape (rows,), 0 in a run that drops out; NaN where
        there is no finite fit.
    """
    rows, kept = _telling(x, y, run)
    fit = _newton(rows) if rows.runs else None
    if fit is None:
        return np.nan, np.full(len(x), np.nan)
    a, b = fit
    _, i, c, _, ib = rows.parts(a, b)
    efficient = (rows.y - expit(a[rows.run] + b * rows.x)) * (rows.x - (c / i)[rows.run])
    influence = np.zeros(len(x))
    influence[kept] = efficient / float(ib - (c * c / i).sum())
    return b, influence


def _telling(x: Array, y: Array, run: Codes) -> tuple[_Rows, NDArray[np.bool_]]:
    """Keep the runs that tell something of the slope, their logits centred: a shift is their intercept."""
    frame = pd.DataFrame({"x": x, "y": y}).groupby(run)
    spread = frame.transform("max") - frame.transform("min")
    kept = ((spread["x"] > 1e-6) & (spread["y"] > 0)).to_numpy()
    number, runs = pd.factorize(run[kept])
    code = number.astype(np.int64)
    mean = _summed(code, x[kept], len(runs)) / np.maximum(np.bincount(code, minlength=len(runs)), 1)
    return _Rows(x[kept] - mean[code], y[kept], code, len(runs)), kept


def _newton(rows: _Rows) -> tuple[Array, float] | None:
    """Maximise the likelihood by Newton's method, steps halved until it does not fall; None without a fit."""
    n = np.bincount(rows.run, minlength=rows.runs)
    share = _summed(rows.run, rows.y, rows.runs) / n
    a, b = np.log(share / (1 - share)), 0.0
    for _ in range(_STEPS):
        u, i, c, ub, ib = rows.parts(a, b)
        information = float(ib - (c * c / i).sum())
        if not information > 1e-9 * ib:
            return None
        step = float(ub - (c * u / i).sum()) / information
        steps = (u - c * step) / i
        before = rows.likelihood(a, b)
        while rows.likelihood(a + steps, b + step) < before - 1e-12 * abs(before) and abs(step) > _CLOSE:
            step, steps = step / 2, steps / 2
        a, b = a + steps, b + step
        if not abs(b) <= _LARGEST:
            return None
        if max(abs(step), float(np.abs(steps).max())) < _CLOSE:
            return a, b
    return None
