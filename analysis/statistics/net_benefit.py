"""Decision curve for "worse": what acting on the predicted probability is worth, by threshold.

Someone who acts where the probability of "worse" is at least t holds (1 - t) / t needless actions for as bad
as one decline missed, so the net benefit, in true positives per pair, is (Vickers and Elkin 2006, Medical
Decision Making 26)::

    NB(t) = TP(t) / n - FP(t) / n * t / (1 - t)

To act on all has NB = prevalence - (1 - prevalence) t / (1 - t), to act on none has 0. Counts are averaged
over seeds and repeats, and patients are drawn again with all their pairs. A reader of all thresholds
needs a band that covers the whole curve: here the bootstrap's maximum of the studentised deviation (sup-t,
Montiel Olea and Plagborg-Moller 2019, Journal of Applied Econometrics 34).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.bootstrap import DRAWS, LEVEL, interval, patient_weights, resampled
from analysis.statistics.metrics import Array

THRESHOLDS: Array = np.arange(5, 61) / 100
"""Threshold probabilities of the curve, from 0.05 to 0.60, shape (56,)."""
TREAT_ALL = "(act on all)"
"""Name in the column ``arm`` of acting on every patient; no arm can have it, for brackets are no name."""


def net_benefit(ledger: pd.DataFrame, control: str = "", draws: int = DRAWS) -> pd.DataFrame:
    """Compute the net benefit of every arm, with 95 % patient-bootstrap intervals at each threshold.

    Args:
        ledger: columns arm, patient, y_true and p_worse; all arms have the same rows.
        control: the arm that sees the earlier score alone; empty where there is none.
        draws: of the patient bootstrap.

    Returns:
        One row per arm (and ``TREAT_ALL``) and threshold: ``acted`` (the share of pairs at or above the
        threshold), ``value``, ``low``, ``high``; the last three also with the prefix ``default_`` for the
        difference with the better of acting on all and on none, and with ``control_`` for the difference
        with the control. Differences have ``band_low`` and ``band_high`` too, which hold at all thresholds
        at once.
    """
    patient, patients = pd.factorize(ledger["patient"], sort=True)
    weights = patient_weights(max(len(patients), 1), draws)
    odds = THRESHOLDS / (1 - THRESHOLDS)
    curves: dict[str, Array] = {}
    shares: dict[str, Array] = {TREAT_ALL: np.ones(len(THRESHOLDS))}
    for arm, rows in ledger.assign(_patient=patient).groupby("arm", sort=False):
        who = rows["_patient"].to_numpy(dtype=np.int64)
        worse = (rows["y_true"] == 0).to_numpy(dtype=np.float64)
        p_worse = rows["p_worse"].to_numpy(np.float64)
        acted = (p_worse[:, None] >= THRESHOLDS - 1e-12).astype(np.float64)
        shares[str(arm)] = acted.mean(0)
        gain = np.where(worse[:, None] > 0, 1.0, -odds)
        if not curves:
            curves[TREAT_ALL] = _drawn(gain, who, weights)
        curves[str(arm)] = _drawn(acted * gain, who, weights)
    if not curves:
        return pd.DataFrame()
    default = np.maximum(curves[TREAT_ALL], 0)
    tables = []
    for arm, curve in curves.items():
        columns = _summary(curve, "") | _difference(curve - default, "default_")
        if control in curves:
            columns |= _difference(curve - curves[control], "control_")
        tables.append(pd.DataFrame({"arm": arm, "threshold": THRESHOLDS, "acted": shares[arm], **columns}))
    return pd.concat(tables, ignore_index=True)


def _drawn(gain: Array, who: NDArray[np.int64], weights: Array) -> Array:
    """The net benefit of all patients and of every draw, shape (1 + draws, thresholds)."""
    sums = np.zeros((weights.shape[1], gain.shape[1] + 1))
    np.add.at(sums, who, np.column_stack([gain, np.ones(len(gain))]))
    whole = sums.sum(0, keepdims=True)
    drawn = np.concatenate([whole, resampled(weights, sums)])
    return np.asarray(drawn[:, :-1] / drawn[:, -1:])


def _summary(curve: Array, prefix: str) -> dict[str, Array]:
    bounds = np.array([interval(column) for column in curve[1:].T])
    return {f"{prefix}value": curve[0], f"{prefix}low": bounds[:, 0], f"{prefix}high": bounds[:, 1]}


def _difference(curve: Array, prefix: str) -> dict[str, Array]:
    """The difference of two curves with the interval at each threshold and the band of all of them."""
    half = band_half_width(curve[1:])
    band = {f"{prefix}band_low": curve[0] - half, f"{prefix}band_high": curve[0] + half}
    return _summary(curve, prefix) | band


def band_half_width(drawn: Array, level: float = LEVEL) -> Array:
    """Compute half the width of the band that covers all points of a curve at once.

    Args:
        drawn: the curve in every draw of the bootstrap, shape (draws, points).
        level: coverage of the band.

    Returns:
        Half the width at each point, shape (points,): the SD of the draws there times one factor, the
        quantile of the largest studentised deviation. Points at which nothing varies count for nothing.
    """
    sd = drawn.std(0)
    varies = sd > 1e-12
    if not varies.any():
        return np.zeros(drawn.shape[1])
    away = np.abs(drawn[:, varies] - drawn[:, varies].mean(0)) / sd[varies]
    return np.asarray(sd * np.quantile(away.max(1), level))
