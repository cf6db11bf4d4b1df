"""Main effects and two-way interactions of arms that form a two-level factorial."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.run_columns import run_hashes
from analysis.results.study import StudyResults
from analysis.statistics.compare import evidence
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.measured import difference_row
from analysis.statistics.study_statistics import StudyStatistics

MOST_FACTORS = 4


def find_factorial(study: StudyResults) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """Find the largest two-level factorial, complete or a half fraction, among the arms that ran.

    Returns:
        The factors (dotted keys), and the level of each (-1 as in the base configuration, +1 edited) per arm;
        nothing where no two factors are crossed.
    """
    ran = set(study.compared["arm"])
    arms = {arm.name: arm.edits for arm in study.arms if arm.name in ran and not arm.control}
    keys = sorted({key for edits in arms.values() for key in edits})
    base = _flat(study.info.get("base") or {})
    values = {
        key: {name: repr(edits.get(key, base.get(key))) for name, edits in arms.items()} for key in keys
    }
    factors = [key for key in keys if len(set(values[key].values())) == 2]
    for size in range(min(MOST_FACTORS, len(factors)), 1, -1):
        for chosen in combinations(factors, size):
            levels = _crossed(study.reference, arms, values, chosen)
            if levels:
                return list(chosen), levels
    return [], {}


def _crossed(
    reference: str,
    arms: dict[str, dict[str, Any]],
    values: dict[str, dict[str, str]],
    chosen: tuple[str, ...],
) -> dict[str, tuple[int, ...]]:
    """Levels of the arms that agree with the reference in every other key, if these are all crossed."""
    if reference not in arms:
        return {}
    others = [key for key in values if key not in chosen]
    alike = [a for a in arms if all(values[key][a] == values[key][reference] for key in others)]
    levels = {
        arm: tuple(1 if values[key][arm] != values[key][reference] else -1 for key in chosen) for arm in alike
    }
    distinct = len(set(levels.values())) == len(levels)
    full, half = len(levels) == 2 ** len(chosen), len(levels) == 2 ** (len(chosen) - 1) and len(chosen) > 2
    if half:
        half = len({np.prod(level) for level in levels.values()}) == 1
    return levels if distinct and (full or half) else {}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def factorial_effects(statistics: StudyStatistics) -> pd.DataFrame:
    """Estimate main effects and two-way interactions on the primary metric.

    A main effect is the mean over arms with the factor changed minus the mean over those without; an
    interaction is half the difference of one factor's effects between the other's levels (Montgomery, Design
    and Analysis of Experiments, ch. 6). A half fraction has main effects alone, for its interactions cannot
    be distinguished from them or from each other (ch. 8). Exploratory: p is not adjusted.

    Returns:
        One row per effect: its name in ``effect``, ``difference`` with ``low`` and ``high`` (95 %),
        ``p``, and the runs behind it. Empty where no arms are crossed.
    """
    study, primary = statistics.study, statistics.primary_metric
    factors, levels = find_factorial(study)
    if not factors:
        return pd.DataFrame()
    confusions = confusion_counts(study.compared, tuple(levels))
    hashes = run_hashes(study)
    rows = []
    terms: list[tuple[int, ...]] = [(i,) for i in range(len(factors))]
    if len(levels) == 2 ** len(factors):
        terms += combinations(range(len(factors)), 2)
    for term in terms:
        signs = {arm: float(np.prod([level[i] for i in term])) for arm, level in levels.items()}
        coefficients = {arm: sign / (len(levels) / 2) for arm, sign in signs.items()}
        found = evidence(confusions, coefficients, primary)
        row: dict[str, object] = {"study": study.key, "effect": " x ".join(factors[i] for i in term)}
        row |= difference_row(found.estimate) | {"p": found.p}
        row["imputed_runs"] = int(study.runs["imputed_runs"].reindex(list(levels)).sum())
        rows.append(row | {"run_hashes": ";".join(hashes.get(arm, "") for arm in levels)})
    return pd.DataFrame(rows)
