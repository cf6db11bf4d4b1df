"""Arms that form a two-level factorial: main effects and two-way interactions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.analysed import Analysed
from analysis.bootstrap import patient_weights
from analysis.cells import cells_of
from analysis.compare import contrast, evidence
from analysis.labels import FAILED, run_cautions, run_hashes
from analysis.load import Study
from analysis.metrics import METRICS
from analysis.table import Table, interval_text, p_text, panel_of

MOST_FACTORS = 4


def find_factorial(study: Study) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """The largest two-level factorial, complete or a half fraction, among the arms that ran.

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


def effects(analysed: Analysed) -> pd.DataFrame:
    """Main effects and two-way interactions of the primary metric, as contrasts of the patient bootstrap.

    A main effect is the mean over arms with the factor changed minus the mean over those without; an
    interaction is half the difference of one factor's effects between the other's levels (Montgomery, Design
    and Analysis of Experiments, ch. 6). A half fraction has main effects alone, for its interactions cannot
    be told from them or from each other (ch. 8). Exploratory: p is not adjusted.
    """
    study = analysed.study
    factors, levels = find_factorial(study)
    if not factors:
        return pd.DataFrame()
    cells = cells_of(study.compared, tuple(levels))
    weights = patient_weights(len(cells.patients), analysed.draws)
    hashes = run_hashes(study)
    rows = []
    terms: list[tuple[int, ...]] = [(i,) for i in range(len(factors))]
    if len(levels) == 2 ** len(factors):
        terms += combinations(range(len(factors)), 2)
    for term in terms:
        signs = {arm: float(np.prod([level[i] for i in term])) for arm, level in levels.items()}
        coefficients = {arm: sign / (len(levels) / 2) for arm, sign in signs.items()}
        difference = contrast(cells, coefficients, weights)[study.primary_metric]
        folds = int(study.info.get("folds") or 0)
        found = evidence(cells, coefficients, study.primary_metric, difference, folds)
        row = {"study": study.key, "effect": " x ".join(factors[i] for i in term), **difference.row}
        row |= {"p_nadeau_bengio": found.corrected.p, "p": found.p}
        row["imputed_runs"] = int(study.runs["imputed_runs"].reindex(list(levels)).sum())
        rows.append(row | {"run_hashes": ";".join(hashes.get(arm, "") for arm in levels)})
    return pd.DataFrame(rows)


def factorial_table(analysed: Sequence[Analysed]) -> Table | None:
    """Factorial effects of the studies whose arms are crossed; nothing where none is."""
    whole = [item for item in analysed if len(item.study.ledger) and not item.study.withheld]
    frames = [(item.study, effects(item)) for item in whole]
    frames = [(study, frame) for study, frame in frames if len(frame)]
    if not frames:
        return None
    panels = []
    for study, frame in frames:
        name = METRICS[study.primary_metric].label
        shown = [
            (
                f"{row['effect']} {FAILED}" if row["imputed_runs"] else str(row["effect"]),
                [interval_text(row, "difference", sign="+"), p_text(row["p"])],
            )
            for _, row in frame.iterrows()
        ]
        panels.append((study.title, panel_of(shown, [f"Effect on {name} [95 % CI]", "p (not adjusted)"])))
    notes = ["Exploratory: main effects and two-way interactions of crossed arms; p is not adjusted."]
    if not all(frame["effect"].str.contains(" x ").any() for _, frame in frames):
        notes.append(
            "Half fraction: each main effect is mixed with the interaction of the other factors, and no "
            "interaction can be estimated."
        )
    data = pd.concat([frame for _, frame in frames], ignore_index=True)
    cautions = [caution for study, _ in frames for caution in run_cautions(study)]
    return Table(
        name="factorial", title="Factorial effects", data=data, panels=panels, notes=notes, cautions=cautions
    )
