"""From an estimate to a verdict in words.

Each word has a rate: *supported* is Holm-adjusted over the declared family, so at most 5 % of studies in
which no arm differs say it of any; every other word claims nothing. ``benchmarks/calibration.py`` measures
that by simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.statistics.estimate import Estimate, with_family_noise
from analysis.statistics.metrics import Array

ALPHA = 0.05


def alpha_per_look(looks: int) -> float:
    """Compute what each of some declared looks at the results is tested at: 0.05 over their number.

    Bonferroni holds under any dependence between looks. The spending functions of group-sequential trials
    need statistics that are jointly normal, and the p of the rule is none.
    """
    return ALPHA / looks


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


def holm_level(others: Iterable[float], family: int, alpha: float = ALPHA) -> float:
    """Compute the level that one comparison's p must reach for Holm's method to reject it.

    Holm steps down: each of the others that it rejects without this one leaves it a larger share of alpha.

    Args:
        others: the p values of the other comparisons; NaN (a missing arm) is never rejected.
        family: number of comparisons declared, this one and those missing among them.
        alpha: of the whole family.
    """
    rejected = 0
    for p in sorted(p for p in others if np.isfinite(p)):
        if p * (family - rejected) > alpha:
            break
        rejected += 1
    return alpha / max(family - rejected, 1)


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
    level: float = ALPHA
    """What ``p`` must reach for a verdict, the other arms' p being what they are (``holm_level``)."""

    @property
    def difference(self) -> float:
        """The observed difference."""
        return self.estimate.value

    @property
    def p(self) -> float:
        """The p before Holm; NaN where there is no test."""
        return self.estimate.p if self.whole and self.folds * self.repeats > 1 else float("nan")


def adjusted(tested: Mapping[str, Evidence], family: int, alpha: float) -> dict[str, Evidence]:
    """Return the evidence with the noise that the family shares, its p values adjusted by Holm, and the level
    that each of them has to reach.

    Args:
        tested: by arm.
        family: number of comparisons declared, at least those given.
        alpha: of the family, for the levels.
    """
    shared = with_family_noise([e.estimate for e in tested.values()])
    tested = {arm: replace(e, estimate=s) for (arm, e), s in zip(tested.items(), shared, strict=True)}
    p = {arm: e.p for arm, e in tested.items()}
    p_holm = dict(zip(p, holm(np.array([*p.values()]), family), strict=True))
    return {
        arm: replace(
            e,
            p_holm=float(p_holm[arm]),
            level=holm_level([p[other] for other in p if other != arm], family, alpha),
        )
        for arm, e in tested.items()
    }


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


def more_runs(ways: Sequence[Evidence]) -> tuple[int, int]:
    """Find the fewest further seeds, and the fewest further repeats, with which a difference like this one
    would be supported.

    Args:
        ways: the evidence on one arm; where final runs failed also that with other predictions in their
            place, and both must support it.

    Returns:
        Seeds and repeats. Zero means that it is supported, that none up to ``MOST_ROUNDS`` in all would do,
        or that it cannot be known (one seed).
    """
    signs = {np.sign(e.difference) for e in ways}
    testable = len(signs) == 1 and all(np.isfinite(e.p) for e in ways)
    if not testable or all(e.p <= e.level for e in ways):
        return 0, 0
    seen = ways[0]

    def fewest(seen: int, with_number: Callable[[Evidence, int], Estimate]) -> int:
        numbers = range(seen + 1, MOST_ROUNDS + 1)
        return next((n - seen for n in numbers if all(with_number(e, n).p <= e.level for e in ways)), 0)

    repeats = fewest(seen.repeats, lambda e, n: projected(e, n, e.seeds))
    if not all(e.estimate.seeds_degrees for e in ways):
        return 0, repeats
    return fewest(seen.seeds, lambda e, n: projected(e, e.repeats, n)), repeats


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
