"""Rows of a ledger summed by patient and round, for estimates of what is no metric of confusion counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.estimate import Estimate, estimated
from analysis.statistics.metrics import Array

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Rounds:
    """Where each row of a ledger stands: a round is one seed of one repeat, in all its folds."""

    place: Codes
    """Round times patients plus patient, shape (rows,)."""
    fold: Codes
    """The fold that tests each patient in each round, shape (rounds, patients); -1 where none does."""
    repeats: Codes
    """The repeat of each round, shape (rounds,)."""

    @classmethod
    def of(cls, ledger: pd.DataFrame) -> Rounds:
        """Read the rounds of rows of one or more arms, with the columns patient, repeat, fold and seed."""
        who, patients = pd.factorize(ledger["patient"], sort=True)
        turns = ledger.groupby(["repeat", "seed"])
        number, shape = turns.ngroup().to_numpy().astype(np.int64), (turns.ngroups, len(patients))
        place = number * len(patients) + who
        fold = np.full(shape, -1, dtype=np.int64)
        fold.ravel()[place] = ledger["fold"]
        return cls(place, fold, turns["repeat"].first().to_numpy().astype(np.int64))

    def summed(self, values: Array) -> Array:
        """Sum values of rows by round and patient: shape (rows, ...) to (rounds, patients, ...)."""
        sums = np.zeros((self.fold.size, *values.shape[1:]))
        np.add.at(sums, self.place, values)
        return sums.reshape(*self.fold.shape, *values.shape[1:])

    def estimate(self, value: float, parts: Array) -> Estimate:
        """Estimate the variance of a statistic by the rule that is behind the verdicts.

        Args:
            value: the statistic.
            parts: by how much it would change in the first order for each row's weight, shape (rows,); they
                sum to zero.
        """
        tested = self.fold >= 0
        influence = np.where(tested, self.summed(parts) * tested.sum(0), np.nan)
        return estimated(value, influence, self.fold, self.repeats)
