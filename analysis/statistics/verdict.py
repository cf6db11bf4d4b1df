"""From two p values to a verdict in words.

The rule ``p = max(p_bootstrap, p_NB / 2)`` is a heuristic, not a theorem: with three seeds the patient
bootstrap alone is too liberal (it does not see the training noise) and the corrected t alone too strict.
Their combination was calibrated by simulation for one comparison at 5 %; ``benchmarks/calibration.py``
repeats the simulation and measures the family-wise error under Holm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr

from analysis.statistics.corrected_t import CorrectedT
from analysis.statistics.metrics import Array

ALPHA = 0.05
MOST_ROUNDS = 10
"""Largest number of seeds, and of repeats, for which the rule was simulated; no advice goes beyond it."""


def combined_p(p_bootstrap: float, p_corrected: float) -> float:
    """Combine both p values: the larger of the bootstrap p and half the Nadeau-Bengio p, NaN if either is."""
    return float(np.maximum(p_bootstrap, p_corrected / 2))


def holm(p: Array, family: int | None = None) -> Array:
    """Adjust p values by Holm's step-down method (Holm 1979, Scandinavian Journal of Statistics 6).

    Args:
        p: one per comparison; NaN (a missing arm) stays NaN.
        family: number of comparisons declared, at least those known; a missing arm still counts.
    """
    known = np.flatnonzero(np.isfinite(p))
    size = max(family or 0, len(known))
    adjusted = np.full(len(p), np.nan)
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * (size - np.arange(len(order)))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about one difference, with the part of its variance that more runs would remove."""

    difference: float
    p_bootstrap: float
    bootstrap_variance: float
    corrected: CorrectedT
    fold_variance: float
    """Variance over test folds of the difference averaged over seeds."""
    seed_variance: float
    """Variance between seeds of the difference in one test fold; NaN with one seed."""
    round_variance: float
    """Variance between seeds of one repeat of the whole out-of-fold difference; NaN with one seed."""
    repeats: int
    folds: int
    seeds: int
    test_share: float
    p_holm: float = float("nan")

    @property
    def p(self) -> float:
        """The combined p before Holm."""
        return combined_p(self.p_bootstrap, self.corrected.p)


def _projected_p(e: Evidence, repeats: int, seeds: int) -> float:
    """The combined p if the same difference were seen with other numbers of repeats and seeds."""
    round_variance = 0.0 if np.isnan(e.round_variance) else e.round_variance
    seed_variance = 0.0 if np.isnan(e.seed_variance) else e.seed_variance
    saved = round_variance * (1 / (e.repeats * e.seeds) - 1 / (repeats * seeds))
    variance = max(e.bootstrap_variance - saved, e.bootstrap_variance / 4)
    p_bootstrap = 2 * ndtr(-abs(e.difference) / np.sqrt(variance)) if variance > 0 else 0.0
    j = e.folds * repeats
    per_fold = max(e.fold_variance - seed_variance * (1 / e.seeds - 1 / seeds), e.fold_variance / 4)
    scale = np.sqrt((1 / j + e.test_share / (1 - e.test_share)) * per_fold)
    p_corrected = 2 * stdtr(j - 1, -abs(e.difference) / scale) if scale > 0 else 0.0
    return combined_p(float(p_bootstrap), float(p_corrected))


def more_runs(e: Evidence) -> tuple[int, int]:
    """Find the fewest further seeds, and the fewest further repeats, that would settle the difference seen.

    Zero means that it is settled, that none up to ``MOST_ROUNDS`` in all would, or that it cannot be known
    (one seed).
    """
    if not np.isfinite(e.p) or e.p_holm <= ALPHA or e.difference == 0:
        return 0, 0
    target = ALPHA / max(e.p_holm / e.p, 1) if e.p_holm < 1 else ALPHA
    seeds = range(e.seeds + 1, MOST_ROUNDS + 1) if np.isfinite(e.seed_variance) else range(0)
    repeats = range(e.repeats + 1, MOST_ROUNDS + 1)
    more_seeds = next((s - e.seeds for s in seeds if _projected_p(e, e.repeats, s) <= target), 0)
    more_repeats = next((r - e.repeats for r in repeats if _projected_p(e, r, e.seeds) <= target), 0)
    return more_seeds, more_repeats


WEAKEST_FIRST = ("not tested", "not supported", "suggestive", "undecided", "supported")


def weaker(first: str, second: str) -> str:
    """Return the verdict that claims less: it stands where two ways to count failed runs differ."""
    return min(first, second, key=lambda verdict: WEAKEST_FIRST.index(verdict.partition(":")[0]))


def verdict(e: Evidence) -> str:
    """Put the evidence into words.

    Returns:
        supported, undecided (with the runs that would settle it), suggestive, not supported, or not tested
        (fewer than two test folds, or a value that is not defined among those it would rest on).
    """
    if not np.isfinite(e.p_holm):
        return "not tested"
    if e.p_holm <= ALPHA:
        return "supported"
    seeds, repeats = more_runs(e)
    if seeds:
        return f"undecided: {seeds} more seed{'s' if seeds > 1 else ''}"
    if repeats:
        return f"undecided: {repeats} more repeat{'s' if repeats > 1 else ''}"
    if e.p <= ALPHA or e.p_bootstrap <= ALPHA:
        return "suggestive"
    return "not supported"
