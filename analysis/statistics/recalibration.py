"""Calibration intercept and slope of each class's probability, one class against the rest.

The logistic recalibration model (Cox 1958; Van Calster et al. 2019, BMC Medicine 17:230)::

    intercept a:  logit P(class) = a + logit(p)          0 is right; above, probabilities are too low
    slope b:      logit P(class) = a_run + b logit(p)    1 is right; below, they are too extreme

Runs (arm, repeat, fold, seed) have different models, so the slope is one *within* runs: each run has an
intercept ``a_run`` of its own, and rows of different runs meet in ``b`` alone. The intercept ``a`` is one for
all runs, hence their mean error. Intervals draw patients again; a draw is one Newton step from the fit of all
patients (Moulton and Zeger 1991, Computational Statistics and Data Analysis 11), which makes it a product of
matrices.
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
from analysis.statistics.bootstrap import DRAWS, interval, patient_weights, resampled
from analysis.statistics.metrics import Array
from analysis.statistics.proper_scores import SMALLEST

FEWEST_EVENTS = 10
"""Pairs in the class, and out of it, below which nothing is estimated."""
Codes = NDArray[np.int64]
_STEPS, _CLOSE = 50, 1e-9
_LARGEST = 50.0
"""A slope beyond this means that the classes are separated: there is no finite fit."""


def recalibration(ledger: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Estimate intercept and slope of each arm and class, with 95 % patient-bootstrap intervals.

    Args:
        ledger: columns arm, repeat, fold, seed, patient, pair, y_true and the probabilities.
        draws: of the patient bootstrap.

    Returns:
        One row per arm and class: ``events`` (pairs of the class), ``pairs``, ``intercept``,
        ``intercept_low``, ``intercept_high``, and the same for ``slope``. NaN with fewer than
        ``FEWEST_EVENTS`` events or non-events, and for a slope without spread of the probability within any
        run.
    """
    patient, patients = pd.factorize(ledger["patient"], sort=True)
    weights = patient_weights(max(len(patients), 1), draws)
    rows: list[dict[str, Any]] = []
    for arm, own in ledger.assign(_patient=patient).groupby("arm", sort=False):
        run = own.groupby(["repeat", "fold", "seed"]).ngroup().to_numpy().astype(np.int64)
        once = own.drop_duplicates(["patient", "pair"])["y_true"]
        who = own["_patient"].to_numpy(dtype=np.int64)
        for index, name in enumerate(CLASSES[PROGRESSION]):
            if own[PROBABILITIES[index]].isna().all():  # of decline the probability of worse is written alone
                continue
            p = np.clip(own[PROBABILITIES[index]].to_numpy(np.float64), SMALLEST, 1 - SMALLEST)
            y = (own["y_true"] == index).to_numpy().astype(np.float64)
            events, x = int((once == index).sum()), np.log(p / (1 - p))
            found = {name: (np.nan, np.array([np.nan])) for name in ("intercept", "slope")}
            if min(events, len(once) - events) >= FEWEST_EVENTS:
                found = {
                    "intercept": intercept(x, y, who, weights),
                    "slope": slope(x, y, run, who, weights),
                }
            row: dict[str, Any] = {"arm": arm, "class": name, "events": events, "pairs": len(once)}
            for what, (value, drawn) in found.items():
                low, high = interval(drawn)
                row |= {what: value, f"{what}_low": low, f"{what}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def intercept(x: Array, y: Array, who: Codes, weights: Array) -> tuple[float, Array]:
    """Fit the intercept with the slope fixed at 1, by maximum likelihood.

    Args:
        x: logits of the predicted probability, shape (rows,).
        y: 1 where the row is of the class, else 0, shape (rows,).
        who: the patient of each row, shape (rows,).
        weights: how often each patient is drawn, shape (draws, patients).

    Returns:
        The intercept, and that of every draw, shape (draws,).
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
    sums = [np.bincount(who, part, minlength=weights.shape[1]) for part in (y - p, p * (1 - p))]
    score, information = np.moveaxis(resampled(weights, np.stack(sums, axis=1)), -1, 0)
    return a, a + score / information


@dataclass(frozen=True)
class _Rows:
    """Rows of one arm and class, in runs that tell something of the slope."""

    x: Array
    y: Array
    run: Codes
    who: Codes
    runs: int

    def parts(self, a: Array, b: float, owner: Codes, size: int) -> list[Array]:
        """Score, information and cross information of the runs' intercepts, shape (size, runs) each, then
        score and information of the slope, shape (size,) each, summed by owner."""
        p = expit(a[self.run] + b * self.x)
        v = p * (1 - p)
        where, total = owner * self.runs + self.run, size * self.runs
        each = [_summed(where, part, total).reshape(size, -1) for part in (self.y - p, v, v * self.x)]
        both = [_summed(owner, part, size) for part in ((self.y - p) * self.x, v * self.x**2)]
        return [*each, *both]

    def likelihood(self, a: Array, b: float) -> float:
        linear = a[self.run] + b * self.x
        return float((self.y * linear - np.logaddexp(0, linear)).sum())


def _summed(owner: Codes, values: Array, size: int) -> Array:
    return np.bincount(owner, values, minlength=size).astype(np.float64)


def slope(x: Array, y: Array, run: Codes, who: Codes, weights: Array) -> tuple[float, Array]:
    """Fit one slope with an intercept per run, by maximum likelihood.

    Runs in which all rows or none are of the class say nothing of the slope and drop out, as do runs whose
    probabilities are all equal.

    Args:
        x: logits of the predicted probability, shape (rows,).
        y: 1 where the row is of the class, else 0, shape (rows,).
        run: the run of each row, from 0, shape (rows,).
        who: the patient of each row, shape (rows,).
        weights: how often each patient is drawn, shape (draws, patients).

    Returns:
        The slope, and that of every draw, shape (draws,); NaN where there is no finite fit.
    """
    rows = _telling(x, y, run, who)
    fit = _newton(rows) if rows.runs else None
    if fit is None:
        return np.nan, np.full(len(weights), np.nan)
    a, b = fit
    u, i, c, ub, ib = (resampled(weights, p) for p in rows.parts(a, b, rows.who, weights.shape[1]))
    safe = np.where(i > 0, i, 1)  # a run none of whose patients was drawn
    information = ib - (c * c / safe).sum(1)
    known = np.where(information > 1e-9 * ib, information, np.nan)
    return b, np.asarray(b + (ub - (c * u / safe).sum(1)) / known)


def _telling(x: Array, y: Array, run: Codes, who: Codes) -> _Rows:
    """Keep the runs that tell something of the slope, their logits centred: a shift is their intercept."""
    frame = pd.DataFrame({"x": x, "y": y}).groupby(run)
    spread = frame.transform("max") - frame.transform("min")
    kept = ((spread["x"] > 1e-6) & (spread["y"] > 0)).to_numpy()
    number, runs = pd.factorize(run[kept])
    code = number.astype(np.int64)
    mean = _summed(code, x[kept], len(runs)) / np.maximum(np.bincount(code, minlength=len(runs)), 1)
    return _Rows(x[kept] - mean[code], y[kept], code, who[kept], len(runs))


def _newton(rows: _Rows) -> tuple[Array, float] | None:
    """Maximise the likelihood by Newton's method, steps halved until it does not fall; None without a fit."""
    n = np.bincount(rows.run, minlength=rows.runs)
    share = _summed(rows.run, rows.y, rows.runs) / n
    a, b = np.log(share / (1 - share)), 0.0
    for _ in range(_STEPS):
        u, i, c, ub, ib = (part[0] for part in rows.parts(a, b, np.zeros_like(rows.run), 1))
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
