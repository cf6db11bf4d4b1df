"""From an estimate to a verdict in words.

Each word has a rate: *supported* is Holm-adjusted over the declared family, so at most 5 % of studies in
which no arm differs say it of any; every other word claims nothing. ``benchmarks/calibration.py`` measures
that by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.statistics.estimate import Estimate
from analysis.statistics.metrics import Array

ALPHA = 0.05
MOST_ROUNDS = 10
"""Largest number of seeds, and of repeats, for which the rule was simulated; no advice goes beyond it."""


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
    """What is known about one difference."""

    estimate: Estimate
    whole: bool
    """Whether every run is there and gives a value; what is left of the others is no test."""
    repeats: int
    folds: int
    seeds: int
    p_holm: float = float("nan")

    @property
    def difference(self) -> float:
        """The observed difference."""
        return self.estimate.value

    @property
    def p(self) -> float:
        """The p before Holm; NaN where there is no test."""
        return self.estimate.p if self.whole and self.folds * self.repeats > 1 else float("nan")


def projected(e: Evidence, repeats: int, seeds: int) -> Estimate:
    """Return the estimate that the same difference would have with other numbers of repeats and seeds.

    The part of the variance that belongs to patients stays; what belongs to training is divided by the runs.

    Args:
        e: what was seen.
        repeats: of the partition, at least those seen.
        seeds: of each fold, at least those seen; with one seed seen their part is not known and stays.
    """
    seen, several = e.estimate, repeats > 1
    of_seeds, of_repeats = (e.repeats * e.seeds) / (repeats * seeds), e.repeats / repeats
    beyond_seeds = max(float(np.nan_to_num(seen.training)) - seen.seeds, 0.0)
    return replace(
        seen,
        patients=seen.patients - seen.seeds_by_pair * (1 - of_seeds),
        seeds=seen.seeds * of_seeds,
        seeds_degrees=e.folds * repeats * (seeds - 1),
        training=beyond_seeds * of_repeats + seen.seeds * of_seeds,
        training_degrees=e.folds * (repeats - 1) if several else seen.training_degrees,
        one_repeat=not several,
    )


def more_runs(e: Evidence) -> tuple[int, int]:
    """Find the fewest further seeds, and the fewest further repeats, with which a difference like this one
    would be supported.

    Zero means that it is, that none up to ``MOST_ROUNDS`` in all would do, or that it cannot be known (one
    seed).
    """
    if not np.isfinite(e.p) or e.p_holm <= ALPHA or e.difference == 0:
        return 0, 0
    target = ALPHA / max(e.p_holm / e.p, 1) if e.p_holm < 1 else ALPHA
    seeds = range(e.seeds + 1, MOST_ROUNDS + 1) if e.estimate.seeds_degrees else range(0)
    repeats = range(e.repeats + 1, MOST_ROUNDS + 1)
    more_seeds = next((s - e.seeds for s in seeds if projected(e, e.repeats, s).p <= target), 0)
    more_repeats = next((r - e.repeats for r in repeats if projected(e, r, e.seeds).p <= target), 0)
    return more_seeds, more_repeats


WEAKEST_FIRST = ("not tested", "not supported", "supported")


def weaker(first: str, second: str) -> str:
    """Return the verdict that claims less: it stands where two ways to count failed runs differ."""
    return min(first, second, key=WEAKEST_FIRST.index)


def verdict(e: Evidence) -> str:
    """Put the evidence into words.

    Returns:
        supported, not supported, or not tested (fewer than two test folds, a run that is not there, or a
        value that is not defined among those it would rest on).
    """
    if not np.isfinite(e.p_holm):
        return "not tested"
    return "supported" if e.p_holm <= ALPHA else "not supported"
