"""What the progression classifier makes of permuted labels: a leak, or the chance that it should be.

A final run of the control with shuffled labels fits its classifier on permuted labels of the whole cohort
hundreds of times, on the embeddings that it has, and counts what the test pairs, under their permuted labels,
were called (``permutations.parquet``). All folds and seeds share the permutations, so the counts of one
permutation add up to one out-of-fold result (Ojala and Garriga 2010, JMLR 11, test 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analysis.results.parquet_tables import PERMUTED_COUNTS
from analysis.statistics.metrics import METRICS, Array
from analysis.statistics.verdict import ALPHA

TRUE_LABELS = 0
"""The number under which the result of the labels as they are stands."""


@dataclass(frozen=True, kw_only=True)
class PermutedLabels:
    """Balanced accuracy with labels as they are, and with permuted ones."""

    observed: float
    """With the labels as they are."""
    permuted: Array
    """With each permutation, shape (permutations,)."""
    chance: float
    """One over the number of classes that occur."""

    @property
    def p_above_chance(self) -> float:
        """One-sided p that permuted labels are predicted no better than by chance, by the spread of the
        permutations' mean."""
        n, spread = len(self.permuted), float(self.permuted.std(ddof=1))
        if spread == 0:
            return float(self.permuted.mean() <= self.chance + 1e-12)
        return float(ndtr(-(self.permuted.mean() - self.chance) / (spread / np.sqrt(n))))

    @property
    def p_informed(self) -> float:
        """Permutation p that true labels are predicted no better than permuted ones."""
        at_least = int((self.permuted >= self.observed - 1e-12).sum())
        return (at_least + 1) / (len(self.permuted) + 1)

    @property
    def leaks(self) -> bool:
        """Whether permuted labels are predicted above chance."""
        return self.p_above_chance <= ALPHA

    @property
    def informed(self) -> bool:
        """Whether true labels are predicted better than permuted ones."""
        return self.p_informed <= ALPHA


def permuted_labels(table: pd.DataFrame) -> PermutedLabels | None:
    """Add up the permutations of one arm's final runs.

    Args:
        table: one row per final run and permutation: repeat, seed, permutation and ``PERMUTED_COUNTS``.

    Returns:
        None where no permutation was made.
    """
    rounds = table.groupby(["permutation", "repeat", "seed"])[PERMUTED_COUNTS].sum()
    counts = rounds.to_numpy(dtype=np.float64).reshape(-1, 3, 3)
    if not len(counts):
        return None
    scores = pd.Series(METRICS["balanced_accuracy"].compute(counts), index=rounds.index)
    mean = scores.groupby("permutation").mean()
    permuted = mean.drop(TRUE_LABELS, errors="ignore").to_numpy(dtype=np.float64)
    if TRUE_LABELS not in mean.index or len(permuted) < 2:
        return None
    classes = int((counts.sum((0, 2)) > 0).sum())
    return PermutedLabels(observed=float(mean[TRUE_LABELS]), permuted=permuted, chance=1 / max(classes, 1))
