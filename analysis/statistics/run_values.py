"""A metric of final runs' rows, measured in every run and without each patient, and its estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.estimate import Estimate, estimated
from analysis.statistics.influence import STEP
from analysis.statistics.report_metric import Array
from analysis.statistics.rounds import Rounds
from analysis.statistics.run_metrics import RunMetric


@dataclass(frozen=True)
class RunValues:
    """One metric of a study's arms, from which it is estimated as metrics of counts are.

    A *round* is one repeat of the partition with one seed: it tests every patient once.
    """

    arms: tuple[str, ...]
    repeats: NDArray[np.int64]
    """The repeat of each round, shape (rounds,)."""
    fold: NDArray[np.int64]
    """The fold that tests a patient, shape (rounds, patients); -1 where none does."""
    by_round: Array
    """The metric of each round, averaged over its folds, shape (arms, rounds); NaN where that of a fold is
    not defined."""
    without: Array
    """What it is without each patient, shape (arms, rounds, patients); NaN where not tested."""
    influence: Array
    """By how much a patient's pairs move it away from the mean over rounds, shape (arms, rounds, patients);
    NaN where not tested. Over the patients of a fold it adds up to what the fold moves it by."""

    def seed_sd(self, arm: str) -> float:
        """The spread between seeds of one partition, NaN with one seed."""
        values = pd.Series(self.by_round[self.arms.index(arm)])
        return float(np.sqrt(values.groupby(self.repeats).var().mean()))


def run_values(ledger: pd.DataFrame, metric: RunMetric, arms: Sequence[str]) -> RunValues:
    """Measure a metric in every final run, as it is and without each of its patients.

    Args:
        ledger: columns arm, repeat, fold, seed, patient and those that the metric needs, without NaN; the
            same pairs of every arm.
        metric: which.
        arms: which arms, in that order.
    """
    rounds = Rounds.of(ledger)
    count, patients = rounds.fold.shape
    # Rows are taken apart run by run, which is slow of columns that nobody asks for, the more so of text.
    rows = ledger[["fold", *metric.needs]].assign(
        _round=rounds.place // patients, _patient=rounds.place % patients
    )
    by_round = np.full((len(arms), count), np.nan)
    without, influence = np.full((2, *by_round.shape, patients), np.nan)
    for place, arm in enumerate(arms):
        of_arm = rows[ledger["arm"] == arm]
        measured = [_Round(of_arm[of_arm["_round"] == number], metric) for number in range(count)]
        by_round[place] = [of_round.value for of_round in measured]
        for number, of_round in enumerate(measured):
            members = of_round.members
            without[place, number, members] = of_round.without
            influence[place, number, members] = of_round.influence(by_round[place].mean())
    return RunValues(tuple(arms), rounds.repeats, rounds.fold, by_round, without, influence)


class _Round:
    """The final runs of one round of one arm."""

    def __init__(self, rows: pd.DataFrame, metric: RunMetric) -> None:
        self._metric = metric
        runs = [_measured(run, metric) for _, run in rows.groupby("fold")]
        self._sizes = [len(members) for members, *_ in runs]
        self.members = np.concatenate([members for members, *_ in runs])
        self._shares = [share for _, share, *_ in runs]
        self._values = np.array([values[0] for *_, values, _ in runs])
        self._weights = np.array([weights[0] for *_, weights in runs])
        self._changed = [values[1:] for *_, values, _ in runs]
        self._of_changed = [weights[1:] for *_, weights in runs]
        self._mean = float(_mean(self._values[:, None], self._weights[:, None])[0])
        self.value = float(metric.unscaled(np.array(self._mean)))

    @property
    def without(self) -> Array:
        """The metric without each patient, shape (members,)."""
        found = []
        for place, size in enumerate(self._sizes):
            values, weights = (np.repeat(a[:, None], size, 1) for a in (self._values, self._weights))
            values[place], weights[place] = self._changed[place], self._of_changed[place]
            found.append(self._metric.unscaled(_mean(values, weights)))
        return np.concatenate(found)

    def influence(self, overall: float) -> Array:
        """By how much each patient moves the metric away from an overall value, shape (members,)."""
        ends = self._metric.unscaled(self._mean + STEP * np.array([-1.0, 1.0]))
        slope = float(ends[1] - ends[0]) / (2 * STEP)
        found = []
        for place, size in enumerate(self._sizes):
            share = self._weights[place] / max(self._weights.sum(), 1e-12)
            if not share:
                found.append(np.zeros(size))
                continue
            value = self._values[place]
            moved = np.nan_to_num(value - self._changed[place]) * (size - 1) / size
            # A run moves its fold as a whole; who is in it shares that by the number of pairs.
            whole = slope * (value - self._mean) + self.value - overall
            found.append(share * (slope * (moved - moved.mean()) + whole * self._shares[place]))
        return np.concatenate(found)


def _measured(run: pd.DataFrame, metric: RunMetric) -> tuple[NDArray[np.int64], Array, Array, Array]:
    """The patients of a run, their shares of its rows, and the scaled metric with its weight in all draws: of
    everybody first, then without each patient."""
    members, of_row, rows = np.unique(run["_patient"].to_numpy(), return_inverse=True, return_counts=True)
    left_out = np.concatenate([np.zeros((1, len(members))), np.eye(len(members))])
    columns = {name: run[name].to_numpy(dtype=np.float64) for name in metric.needs}
    values, weights = metric.compute(columns, 1 - left_out[:, of_row])
    return members, rows / rows.sum(), metric.scaled(values), weights


def _mean(values: Array, weights: Array) -> Array:
    """Average over folds, (folds, n) -> (n,); a fold of weight 0 says nothing."""
    known = weights > 0
    total = np.where(known, weights, 0).sum(0)
    summed = np.where(known, values * weights, 0).sum(0)
    return np.asarray(np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan))


def estimate_of(values: RunValues, coefficients: Mapping[str, float]) -> Estimate:
    """Estimate a linear contrast of a metric between arms, or one arm's own value.

    The variance has the parts that ``estimate`` gives it for metrics of counts. By how much a patient's pairs
    move a run is read from what its metric is without them.

    Args:
        values: of at least these arms.
        coefficients: by arm; ``{arm: 1}`` is its value, ``{arm: 1, reference: -1}`` a difference.
    """
    index, signs = [values.arms.index(arm) for arm in coefficients], np.array(list(coefficients.values()))
    by_round = signs @ values.by_round[index]
    without = np.tensordot(signs, values.without[index], 1)
    tested = values.fold >= 0
    left_out = np.where(tested, without, by_round[:, None]).mean(0)
    return estimated(
        float(by_round.mean()),
        np.tensordot(signs, values.influence[index], 1),
        values.fold,
        values.repeats,
        left_out=left_out,
    )
