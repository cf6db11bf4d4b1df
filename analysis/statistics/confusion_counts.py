"""The ledger as arrays: confusion counts per patient, and per test fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.metrics import Array


@dataclass(frozen=True)
class ConfusionCounts:
    """Counts of one study, shared by every statistic.

    A *round* is one repeat of the partition with one seed: it tests every patient once.
    """

    arms: tuple[str, ...]
    patients: NDArray[np.object_]
    rounds: tuple[tuple[int, int], ...]
    """(repeat, seed) of each round."""
    by_patient: Array
    """(arm, round, patient, 3, 3)."""
    tested: NDArray[np.bool_]
    """(arm, round, patient): whether the final run that tests this patient exists."""
    by_fold: Array
    """(arm, round, fold number, 3, 3)."""
    ran: NDArray[np.bool_]
    """(arm, round, fold number): whether the final run exists."""
    imputed_patients: NDArray[np.bool_]
    """(arm, round, patient): whether that final run failed, so that the majority class stands for it."""
    imputed_folds: NDArray[np.bool_]
    """(arm, round, fold number): the same."""

    @property
    def repeats(self) -> NDArray[np.int64]:
        """The repeat of each round."""
        return np.array([repeat for repeat, _ in self.rounds], dtype=np.int64)

    def index(self, arm: str) -> int:
        return self.arms.index(arm)

    def shared(self, arms: Sequence[int]) -> Array:
        """Counts per patient over the rounds where all the arms were tested, averaged: (len(arms), patient,
        3, 3).
        """
        tested = self.tested[list(arms)].all(0)
        weight = tested / np.maximum(tested.sum(0), 1)
        mean: Array = np.einsum("arpij,rp->apij", self.by_patient[list(arms)], weight)
        return mean

    def put_in(self, first: str, second: str) -> ConfusionCounts | None:
        """Two arms alone, each with the other's predictions where its own final run failed.

        None where neither has such a run. A run that failed in both keeps the majority class in both.
        """
        pair = [self.index(first), self.index(second)]
        if not self.imputed_folds[pair].any():
            return None

        def put(counts: Array, imputed: NDArray[np.bool_]) -> Array:
            return np.where(imputed[pair][..., None, None], counts[pair[::-1]], counts[pair])

        return replace(
            self,
            arms=(first, second),
            by_patient=put(self.by_patient, self.imputed_patients),
            by_fold=put(self.by_fold, self.imputed_folds),
            **{
                name: getattr(self, name)[pair]
                for name in ("tested", "ran", "imputed_patients", "imputed_folds")
            },
        )

    def averaged(self, arm: int) -> Array:
        """Counts per patient of one arm averaged over its rounds, (patient, 3, 3)."""
        mean: Array = self.shared([arm])[0]
        return mean

    def over_seeds(self, values: Array) -> tuple[Array, float]:
        """Average what was measured per round over the seeds of a repeat.

        Args:
            values: (round, n), NaN where a run is missing.

        Returns:
            Means, (repeat, n); and the variance between seeds of one value, pooled (NaN with one seed).
        """
        groups = [values[self.repeats == repeat] for repeat in np.unique(self.repeats)]
        known = [np.isfinite(group).sum(0) for group in groups]
        means = [
            np.where(n > 0, np.nansum(g, 0) / np.maximum(n, 1), np.nan)
            for g, n in zip(groups, known, strict=True)
        ]
        squares = sum(float(np.nansum((g - m) ** 2)) for g, m in zip(groups, means, strict=True))
        degrees = sum(int(np.maximum(n - 1, 0).sum()) for n in known)
        return np.stack(means), squares / degrees if degrees else float("nan")


def confusion_counts(ledger: pd.DataFrame, arms: tuple[str, ...] | None = None) -> ConfusionCounts:
    """Count a ledger's pairs by arm, round, patient, fold, true and predicted class.

    Arms are those named, in that order, or all of the ledger.
    """
    arms = tuple(dict.fromkeys(ledger["arm"])) if arms is None else arms
    ledger = ledger[ledger["arm"].isin(arms)]
    arm = pd.Categorical(ledger["arm"], categories=list(arms)).codes.astype(np.int64)
    patient, patients = pd.factorize(ledger["patient"], sort=True)
    repeat, seed, fold = (ledger[name].to_numpy(dtype=np.int64) for name in ("repeat", "seed", "fold"))
    rounds, turn = np.unique(np.stack([repeat, seed], axis=1), axis=0, return_inverse=True)
    numbers, number = np.unique(fold, return_inverse=True)
    outcome = ledger["y_true"].to_numpy(dtype=np.int64) * 3 + ledger["y_pred"].to_numpy(dtype=np.int64)
    shape = (len(arms), len(rounds))

    def count(size: int, code: NDArray[np.int64]) -> Array:
        where = ((arm * shape[1] + turn.ravel()) * size + code) * 9 + outcome
        total = shape[0] * shape[1] * size * 9
        return np.bincount(where, minlength=total).astype(np.float64).reshape(*shape, size, 3, 3)

    by_patient = count(len(patients), patient)
    by_fold = count(len(numbers), number.ravel())
    imputed_patients, imputed_folds = (np.zeros(c.shape[:3], dtype=np.bool_) for c in (by_patient, by_fold))
    if "imputed" in ledger:
        failed = ledger["imputed"].to_numpy(dtype=np.bool_)
        imputed_patients[arm[failed], turn.ravel()[failed], patient[failed]] = True
        imputed_folds[arm[failed], turn.ravel()[failed], number.ravel()[failed]] = True
    return ConfusionCounts(
        arms=arms,
        patients=np.asarray(patients, dtype=object),
        rounds=tuple((int(r), int(s)) for r, s in rounds),
        by_patient=by_patient,
        tested=by_patient.sum((-1, -2)) > 0,
        by_fold=by_fold,
        ran=by_fold.sum((-1, -2)) > 0,
        imputed_patients=imputed_patients,
        imputed_folds=imputed_folds,
    )
