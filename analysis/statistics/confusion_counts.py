"""The ledger as arrays: 3x3 confusion counts per patient, and per test fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.metrics import Array


@dataclass(frozen=True)
class ConfusionCounts:
    """Confusion counts of one study, from which every statistic is computed.

    A *round* is one repeat of the partition with one seed: it tests every patient once.
    """

    arms: tuple[str, ...]
    patients: NDArray[np.object_]
    rounds: tuple[tuple[int, int], ...]
    """(repeat, seed) of each round."""
    by_patient: Array
    """Pairs by true and predicted class, shape (arms, rounds, patients, 3, 3)."""
    tested: NDArray[np.bool_]
    """Whether the final run that tests a patient exists, shape (arms, rounds, patients)."""
    by_fold: Array
    """Pairs by true and predicted class, shape (arms, rounds, folds, 3, 3)."""
    ran: NDArray[np.bool_]
    """Whether the final run exists, shape (arms, rounds, folds)."""
    fold: NDArray[np.int64]
    """The fold that tests a patient, shape (rounds, patients); -1 where none does."""
    imputed_patients: NDArray[np.bool_]
    """Whether the final run that tests a patient failed, so that the majority class stands for it; shape
    (arms, rounds, patients)."""
    imputed_folds: NDArray[np.bool_]
    """Whether the final run failed, shape (arms, rounds, folds)."""

    @property
    def repeats(self) -> NDArray[np.int64]:
        """The repeat of each round, shape (rounds,)."""
        return np.array([repeat for repeat, _ in self.rounds], dtype=np.int64)

    def index(self, arm: str) -> int:
        """Return the position of an arm in all arrays.

        Raises:
            ValueError: there is no such arm.
        """
        return self.arms.index(arm)

    def shared(self, arms: Sequence[int]) -> Array:
        """Average counts over the rounds where all the given arms were tested.

        Args:
            arms: positions of the arms.

        Returns:
            Mean counts per patient, shape (len(arms), patients, 3, 3).
        """
        tested = self.tested[list(arms)].all(0)
        weight = tested / np.maximum(tested.sum(0), 1)
        mean: Array = np.einsum("arpij,rp->apij", self.by_patient[list(arms)], weight)
        return mean

    def put_in(self, first: str, second: str) -> ConfusionCounts | None:
        """Return two arms alone, each with the other's predictions put in where its own final run failed.

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
        """Average an arm's counts over its rounds: shape (patients, 3, 3)."""
        mean: Array = self.shared([arm])[0]
        return mean

    def over_seeds(self, values: Array) -> tuple[Array, float]:
        """Average what was measured per round over the seeds of a repeat.

        Args:
            values: shape (rounds, n), NaN where a run is missing.

        Returns:
            Means, shape (repeats, n); and the pooled variance between seeds of one value (NaN with one
            seed).
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

    Args:
        ledger: columns arm, repeat, fold, seed, patient, y_true and y_pred (0 worse, 1 same, 2 better), and
            ``imputed`` where known.
        arms: which to count, in that order; None for all of the ledger.
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
    tested_in = np.full((len(rounds), len(patients)), -1, dtype=np.int64)
    tested_in[turn.ravel(), patient] = fold
    return ConfusionCounts(
        arms=arms,
        patients=np.asarray(patients, dtype=object),
        rounds=tuple((int(r), int(s)) for r, s in rounds),
        by_patient=by_patient,
        tested=by_patient.sum((-1, -2)) > 0,
        by_fold=by_fold,
        ran=by_fold.sum((-1, -2)) > 0,
        fold=tested_in,
        imputed_patients=imputed_patients,
        imputed_folds=imputed_folds,
    )
