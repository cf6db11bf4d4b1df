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
from scipy.special import ndtri

from analysis.results.parquet_tables import PERMUTED_COUNTS
from analysis.statistics.metrics import Array
from analysis.statistics.verdict import ALPHA

LEAK_LEVEL = 0.99
"""Coverage of the interval that shows a leak: one that matters lies many standard errors from zero, and a
sound study should not be called leaky."""
TRUE_LABELS = 0
"""The number under which the result of the labels as they are stands."""


@dataclass(frozen=True, kw_only=True)
class PermutedLabels:
    """Agreement beyond chance with labels as they are, and with permuted ones."""

    observed: float
    """With the labels as they are."""
    permuted: Array
    """With each permutation, shape (permutations,)."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 99 % interval of the permutations' mean, which is zero where nothing leaks."""
        half = (
            float(ndtri((1 + LEAK_LEVEL) / 2))
            * float(self.permuted.std(ddof=1))
            / np.sqrt(len(self.permuted))
        )
        return float(self.permuted.mean()) - half, float(self.permuted.mean()) + half

    @property
    def p_informed(self) -> float:
        """One-sided permutation p that true labels are predicted no better than permuted ones."""
        at_least = int((self.permuted >= self.observed - 1e-12).sum())
        return (at_least + 1) / (len(self.permuted) + 1)

    @property
    def leaks(self) -> bool:
        """Whether permuted labels are predicted above chance."""
        return self.interval[0] > 1e-12

    @property
    def informed(self) -> bool:
        """Whether true labels are predicted better than permuted ones."""
        return self.p_informed <= ALPHA / 2


def permuted_labels(table: pd.DataFrame) -> PermutedLabels | None:
    """Add up the permutations of one arm's final runs.

    Agreement beyond chance is the share of pairs called by their class, less what the same calls would reach
    on the labels of the fold in a random order, so it is zero on average. Balanced accuracy is not at a third
    on average: the test of a fold has many of the class that its training has few of.

    Args:
        table: one row per final run and permutation: repeat, seed, permutation and ``PERMUTED_COUNTS``.

    Returns:
        None where no permutation was made.
    """
    counts = table[PERMUTED_COUNTS].to_numpy(dtype=np.float64).reshape(-1, 3, 3)
    pairs = counts.sum((1, 2))
    by_chance = (counts.sum(1) * counts.sum(2)).sum(1) / np.maximum(pairs, 1)
    beyond = table[["permutation", "repeat", "seed"]].assign(
        beyond=np.trace(counts, axis1=1, axis2=2) - by_chance, pairs=pairs
    )
    rounds = beyond.groupby(["permutation", "repeat", "seed"])[["beyond", "pairs"]].sum()
    mean = (rounds["beyond"] / rounds["pairs"]).groupby("permutation").mean()
    permuted = mean.drop(TRUE_LABELS, errors="ignore").to_numpy(dtype=np.float64)
    if TRUE_LABELS not in mean.index or len(permuted) < 2:
        return None
    return PermutedLabels(observed=float(mean[TRUE_LABELS]), permuted=permuted)
