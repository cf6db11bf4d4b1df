"""Whether two studies of one cohort put two arms in opposite orders, beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from analysis.statistics.compare import evidence
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.study_statistics import StudyStatistics
from analysis.statistics.verdict import ALPHA


def flipped_arms(
    first: StudyStatistics,
    second: StudyStatistics,
    arms: Sequence[str],
    values: Sequence[Mapping[str, float]],
) -> dict[str, list[str]]:
    """Find the pairs of arms whose order in one study is the opposite of that in the other.

    Both orders must be there by the rule of all verdicts (p before Holm), and the larger of the two p values
    at most 0.05 over the number of pairs of arms: no order that chance made is called a flip.

    Args:
        first: one study.
        second: the other.
        arms: arms of both.
        values: each study's primary metric by arm.

    Returns:
        By arm the arms with which it has changed places; those that have with none are left out.
    """
    pairs = list(combinations(arms, 2))
    found: dict[str, list[str]] = {}
    for one, other in pairs:
        differences = [value[one] - value[other] for value in values]
        if np.prod(np.sign(differences)) >= 0:  # the same order, or none: nothing to test
            continue
        if max(_p(item, one, other) for item in (first, second)) <= ALPHA / len(pairs):
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


def _p(item: StudyStatistics, arm: str, reference: str) -> float:
    """The p of one arm against another; 1 where it cannot be tested."""
    confusions = confusion_counts(item.study.compared, (reference, arm))
    p = evidence(confusions, {arm: 1.0, reference: -1.0}, item.primary_metric).p
    return p if np.isfinite(p) else 1.0
