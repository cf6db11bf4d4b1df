"""The final runs of one arm as an ensemble: calibrated probabilities and prediction sets.

A study predicts each pair with the models of its fold alone, which have not seen its patient; of a pair the
mean over the seeds of a fold is known, once a repeat. From these *out-of-fold* predictions calibration and
sets are learnt. A new pair is predicted by all models. Their mean is over more models than any that
calibration saw, hence better and less extreme, so that calibrated probabilities err towards the shares of the
classes and not towards certainty (Rahaman and Thiery 2021, NeurIPS 34; by how much, docs/log.md of 2026-11-28
has). The sets compare fold by fold
(``conformal.py``) and need no such caution. Sets are of the probabilities before calibration, which so cannot
spoil them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.conformal import Codes, prediction_sets, row_weights
from analysis.statistics.metrics import Array
from analysis.statistics.proper_scores import class_probabilities
from analysis.statistics.temperature import Temperature

FOLD = ["repeat", "fold"]
"""What tells the folds of all repeats apart."""


@dataclass(frozen=True)
class OutOfFold:
    """The out-of-fold predictions of an arm: one row per pair and repeat."""

    p: Array
    """Means over seeds, shape (rows, classes)."""
    y: Codes
    """True classes, shape (rows,)."""
    fold: Codes
    """Place of each row's fold in ``folds``, shape (rows,)."""
    patient: Codes
    """Shape (rows,)."""
    pair: Codes
    """Number of the pair, the same in every repeat, shape (rows,)."""
    folds: tuple[tuple[int, int], ...]
    """Repeat and fold."""

    @classmethod
    def of(cls, ledger: pd.DataFrame) -> OutOfFold:
        """Average the rows of an arm's complete final runs over seeds.

        Args:
            ledger: columns repeat, fold, patient, pair, y_true and the probabilities.
        """
        p = pd.DataFrame(class_probabilities(ledger), index=ledger.index)
        keys = [*FOLD, "patient", "pair"]
        means = p.join(ledger[[*keys, "y_true"]]).groupby(keys, as_index=False).mean()
        means = means.sort_values([*FOLD, "patient", "pair"], ignore_index=True)
        number = means.groupby(FOLD).ngroup().to_numpy().astype(np.int64)
        folds = means[FOLD].drop_duplicates().itertuples(index=False, name=None)
        return cls(
            p=means[list(p.columns)].to_numpy(np.float64),
            y=means["y_true"].to_numpy(np.int64),
            fold=number,
            patient=np.unique(means["patient"].astype(str), return_inverse=True)[1].astype(np.int64),
            pair=means.groupby(["patient", "pair"]).ngroup().to_numpy().astype(np.int64),
            folds=tuple((int(repeat), int(fold)) for repeat, fold in folds),
        )

    def only(self, rows: NDArray[np.bool_]) -> OutOfFold:
        """Keep the rows where ``rows``, shape (rows,), is true, as if they were of one fold."""
        kept = self.y[rows]
        one_fold = np.zeros(len(kept), np.int64)
        return OutOfFold(self.p[rows], kept, one_fold, self.patient[rows], self.pair[rows], ((0, 0),))

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return len(np.unique(self.patient))

    @property
    def weight(self) -> Array:
        """The weight of each row, shape (rows,): every patient weighs 1."""
        return row_weights(self.patient)


@dataclass(frozen=True)
class Predicted:
    """What an ensemble says of new pairs."""

    raw: Array
    """Mean probabilities before calibration, shape (pairs, classes)."""
    calibrated: Array
    """Shape (pairs, classes)."""
    sets: NDArray[np.bool_]
    """Which classes are not ruled out, the most probable among them always, shape (pairs, classes)."""


@dataclass(frozen=True)
class Ensemble:
    """An arm's ensemble, calibrated on its out-of-fold predictions."""

    known: OutOfFold
    temperature: Temperature

    @classmethod
    def of(cls, known: OutOfFold) -> Ensemble:
        """Calibrate on out-of-fold predictions, averaged over repeats: as near as they come to the mean over
        all models."""
        pairs, first, code = np.unique(known.pair, return_index=True, return_inverse=True)
        p = np.zeros((len(pairs), known.p.shape[1]))
        np.add.at(p, code, known.p)
        once = known.only(np.isin(np.arange(len(known.y)), first))
        order = np.argsort(once.pair)
        p = p / np.bincount(code)[:, None]
        return cls(known, Temperature.fit(p, once.y[order], once.weight[order]))

    def predict(self, by_fold: Array, level: float) -> Predicted:
        """Predict new pairs.

        Args:
            by_fold: mean probabilities of the models of each of ``known.folds``, shape (folds, pairs,
                classes).
            level: of the sets, such as 0.9.
        """
        raw = by_fold.mean(0)
        calibrated = self.temperature(raw)
        k = self.known
        sets = prediction_sets(k.p, k.y, k.fold, k.patient, by_fold, level)
        top = np.eye(raw.shape[1], dtype=bool)[calibrated.argmax(1)]
        return Predicted(raw, calibrated, sets | top)


def fold_means(p: Array, of_run: list[tuple[int, int]], folds: tuple[tuple[int, int], ...]) -> Array:
    """Average probabilities over the runs of each fold.

    Args:
        p: shape (runs, pairs, classes).
        of_run: repeat and fold of each run.
        folds: those that are wanted, each with a run.

    Returns:
        Shape (folds, pairs, classes).
    """
    return np.stack([p[[own == fold for own in of_run]].mean(0) for fold in folds])
