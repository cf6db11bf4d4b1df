"""Decision curve for "worse": what acting on the predicted probability is worth, by threshold.

Someone who acts where the probability of "worse" is at least t holds (1 - t) / t needless actions for as bad
as one decline missed, so the net benefit, in true positives per pair, is (Vickers and Elkin 2006, Medical
Decision Making 26)::

    NB(t) = TP(t) / n - FP(t) / n * t / (1 - t)

To act on all has NB = prevalence - (1 - prevalence) t / (1 - t), to act on none has 0. Counts are averaged
over seeds and repeats. The interval at one threshold is that of the estimate behind the verdicts
(``estimate.py``): patients with all their pairs, and what training does beyond them. A reader of all
thresholds needs a band that covers the whole curve: intervals are widened by how much further the largest of
the patient bootstrap's studentised deviations reaches than a single one (sup-t, Montiel Olea and
Plagborg-Moller 2019, Journal of Applied Econometrics 34).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.bootstrap import DRAWS, LEVEL, patient_weights, resampled
from analysis.statistics.estimate import estimated
from analysis.statistics.metrics import Array
from analysis.statistics.rounds import Rounds

THRESHOLDS: Array = np.arange(5, 61) / 100
"""Threshold probabilities of the curve, from 0.05 to 0.60, shape (56,)."""
TREAT_ALL = "(act on all)"
"""Name in the column ``arm`` of acting on every patient; no arm can have it, for brackets are no name."""


@dataclass(frozen=True)
class _Curve:
    """Net benefit at each threshold, or a difference of two."""

    drawn: Array
    """Of all patients first, then in every draw of the bootstrap, shape (1 + draws, thresholds)."""
    gains: Array
    """Gain of each patient's pairs in each round, summed, shape (rounds, patients, thresholds)."""
    pairs: Array
    """Pairs of each patient in each round, shape (rounds, patients); NaN where not tested."""
    fold: NDArray[np.int64]
    """The fold that tests each patient, shape (rounds, patients); of what needs no run one for all."""
    repeats: NDArray[np.int64]

    def minus(self, other: _Curve) -> _Curve:
        """The difference with another curve on the same rows; folds are those of the one that has runs."""
        fold = np.maximum(self.fold, other.fold)
        return replace(self, drawn=self.drawn - other.drawn, gains=self.gains - other.gains, fold=fold)

    def summary(self, prefix: str) -> dict[str, Array]:
        """Value, low and high at each threshold."""
        ends = np.array([self._interval(at) for at in range(len(THRESHOLDS))])
        return {f"{prefix}value": self.drawn[0], f"{prefix}low": ends[:, 0], f"{prefix}high": ends[:, 1]}

    def difference(self, prefix: str) -> dict[str, Array]:
        """The same with the band that holds at all thresholds at once."""
        found, factor = self.summary(prefix), band_factor(self.drawn[1:])
        value, low, high = (found[f"{prefix}{name}"] for name in ("value", "low", "high"))
        band = {"band_low": value - factor * (value - low), "band_high": value + factor * (high - value)}
        return found | {f"{prefix}{name}": ends for name, ends in band.items()}

    def _interval(self, at: int) -> tuple[float, float]:
        """The interval at one threshold. Net benefit is a ratio of sums, so a patient's influence is the gain
        beyond what the patient's pairs have on average."""
        value, gains = float(self.drawn[0, at]), self.gains[:, :, at]
        total, of_patient = np.nansum(self.pairs), np.nansum(self.pairs, axis=0)
        influence = (gains - value * self.pairs) * np.isfinite(self.pairs).sum(0) / total
        left = np.maximum(total - of_patient, 1)
        without_one = (value * total - gains.sum(0)) / left
        found = estimated(value, influence, self.fold, self.repeats, left_out=without_one)
        return found.interval()


def net_benefit(ledger: pd.DataFrame, control: str = "", draws: int = DRAWS) -> pd.DataFrame:
    """Compute the net benefit of every arm, with 95 % intervals at each threshold.

    Args:
        ledger: columns arm, repeat, fold, seed, patient, y_true and p_worse; all arms have the same rows.
        control: the arm that sees the earlier score alone; empty where there is none.
        draws: of the patient bootstrap, which widens intervals to bands.

    Returns:
        One row per arm (and ``TREAT_ALL``) and threshold: ``acted`` (the share of pairs at or above the
        threshold), ``value``, ``low``, ``high``; the last three also with the prefix ``default_`` for the
        difference with the better of acting on all and on none, and with ``control_`` for the difference
        with the control. Differences have ``band_low`` and ``band_high`` too, which hold at all thresholds
        at once.
    """
    if ledger.empty:
        return pd.DataFrame()
    weights = patient_weights(ledger["patient"].nunique(), draws)
    acted = {str(arm): _acted(rows) for arm, rows in ledger.groupby("arm", sort=False)}
    curves = {
        str(arm): _curve(rows, acted[str(arm)], weights) for arm, rows in ledger.groupby("arm", sort=False)
    }
    first = next(iter(curves.values()))
    rows = ledger[ledger["arm"] == ledger["arm"].iloc[0]]
    every = np.ones((len(rows), len(THRESHOLDS)))
    everyone = replace(_curve(rows, every, weights), fold=np.where(first.fold >= 0, 0, -1))
    default = replace(
        everyone,
        drawn=np.maximum(everyone.drawn, 0),
        gains=np.where(everyone.drawn[0] > 0, everyone.gains, 0),
    )
    tables = []
    for arm, curve in {TREAT_ALL: everyone, **curves}.items():
        share = acted.get(arm, every).mean(0)
        columns = curve.summary("") | curve.minus(default).difference("default_")
        if control in curves:
            columns |= curve.minus(curves[control]).difference("control_")
        tables.append(pd.DataFrame({"arm": arm, "threshold": THRESHOLDS, "acted": share, **columns}))
    return pd.concat(tables, ignore_index=True)


def _acted(rows: pd.DataFrame) -> Array:
    """Whether an arm would have each pair acted on, shape (rows, thresholds)."""
    p_worse = rows["p_worse"].to_numpy(np.float64)
    return (p_worse[:, None] >= THRESHOLDS - 1e-12).astype(np.float64)


def _curve(rows: pd.DataFrame, acted: Array, weights: Array) -> _Curve:
    rounds = Rounds.of(rows)
    worse = (rows["y_true"] == 0).to_numpy()
    gain = acted * np.where(worse[:, None], 1.0, -THRESHOLDS / (1 - THRESHOLDS))
    gains, pairs = rounds.summed(gain), rounds.summed(np.ones(len(rows)))
    sums = np.concatenate([gains.sum(0), pairs.sum(0)[:, None]], axis=1)
    drawn = np.concatenate([sums.sum(0, keepdims=True), resampled(weights, sums)])
    return _Curve(
        drawn=drawn[:, :-1] / drawn[:, -1:], gains=gains, fold=rounds.fold, repeats=rounds.repeats,
        pairs=np.where(rounds.fold >= 0, pairs, np.nan),
    )  # fmt: skip


def band_factor(drawn: Array, level: float = LEVEL) -> float:
    """Compute by how much an interval of one point is widened to a band that covers all points at once.

    Args:
        drawn: the curve in every draw of the bootstrap, shape (draws, points).
        level: coverage of the band.

    Returns:
        The quantile of the largest studentised deviation over that of a single one, at least 1. Points at
        which nothing varies count for nothing.
    """
    sd = drawn.std(0)
    varies = sd > 1e-12
    if not varies.any():
        return 1.0
    away = np.abs(drawn[:, varies] - drawn[:, varies].mean(0)) / sd[varies]
    return max(1.0, float(np.quantile(away.max(1), level) / np.quantile(away, level)))
