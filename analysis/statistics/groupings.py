"""The groupings of progression pairs whose subgroups are compared, fixed before any outcome is seen.

Sites, devices and sexes are levels as recorded. Interval between visits, earlier score and age are cut at
the median of the cohort's pairs, SpO2 at 97 %, above which the S/F ratio says little. All are known at the
earlier visit, or with the date of the later one: none depends on predictions, or on how the score changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

NOT_RECORDED = "not recorded"
"""The level of pairs of which a grouping's value is unknown."""
MOST_SPO2 = 97.0
"""Per cent of oxygen saturation above which the S/F ratio says little of the lung (Rice et al. 2007, Chest
132)."""


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """One way to divide progression pairs into levels."""

    column: str
    """The column of the ledger that it is made of."""
    label: str
    """What tables call it."""
    levels: tuple[str, ...]
    """In the order of tables; pairs that lack the value last."""
    of_row: pd.Series[str]
    """The level of each row of the ledger, under the ledger's index."""
    rule: str = ""
    """How the levels were made, in words; empty where they are as recorded."""

    @property
    def known(self) -> tuple[str, ...]:
        """The levels but that of pairs which lack the value."""
        return tuple(level for level in self.levels if level != NOT_RECORDED)

    def divides_like(self, other: Grouping) -> bool:
        """Whether two groupings of one ledger divide its pairs in the same way, under other names."""
        return bool((pd.factorize(self.of_row)[0] == pd.factorize(other.of_row)[0]).all())


def groupings(ledger: pd.DataFrame, score: Mapping[str, Any]) -> list[Grouping]:
    """Divide a ledger's pairs in every way that its columns allow.

    Args:
        ledger: one row per final run and test pair, with the columns ``patient`` and ``pair``, and any of
            ``site, device, interval_days, score_earlier, spo2, sex, age``. A column that is missing counts as
            one without values.
        score: what study.json says of the score: ``name`` and ``unit``.
    """
    unit = f" {score['unit']}" if score.get("unit") else ""
    name = str(score.get("name") or "score")
    pairs = ledger.drop_duplicates(["patient", "pair"])
    of_pairs = [
        _as_recorded(pairs, "site", "Site"),
        _as_recorded(pairs, "device", "Device"),
        _at_median(pairs, "interval_days", "Interval between visits", " days"),
        _at_median(pairs, "score_earlier", f"Earlier {name}", unit),
        _at(pairs, "spo2", "SpO2 at the earlier visit", " %", MOST_SPO2, "cut fixed at {cut}"),
        _as_recorded(pairs, "sex", "Sex"),
        _at_median(pairs, "age", "Age at the earlier visit", " years"),
    ]
    pair_of_row = ledger.groupby(["patient", "pair"], sort=False).ngroup().to_numpy()
    return [
        replace(g, of_row=pd.Series(g.of_row.to_numpy()[pair_of_row], index=ledger.index)) for g in of_pairs
    ]


def _as_recorded(pairs: pd.DataFrame, column: str, label: str) -> Grouping:
    values = pairs[column] if column in pairs else pd.Series("", index=pairs.index)
    values = values.where(values.notna(), "").astype(str).str.strip()
    known = sorted(set(values) - {""})
    # A site may be called "not recorded" by its own people; that says the same.
    of_row = values.where(values != "", NOT_RECORDED)
    return _grouping(column, label, [level for level in known if level != NOT_RECORDED], of_row)


def _at_median(pairs: pd.DataFrame, column: str, label: str, unit: str) -> Grouping:
    values = pairs[column].to_numpy(np.float64) if column in pairs else np.array([])
    values = values[np.isfinite(values)]
    if not len(values):
        return _at(pairs, column, label, unit, float("nan"), "")
    cut = float(np.median(values))
    # Where half of the pairs or more have the largest value, nobody lies above the median: that value itself
    # is the upper level then.
    return _at(
        pairs, column, label, unit, cut, "cut at the median of all pairs, {cut}", below=cut == values.max()
    )


def _at(
    pairs: pd.DataFrame, column: str, label: str, unit: str, cut: float, rule: str, *, below: bool = False
) -> Grouping:
    """Divide at a cut: up to it and above it, or with ``below`` below it and at it, the largest value."""
    values = pairs[column] if column in pairs else pd.Series(np.nan, index=pairs.index)
    values = values.astype(np.float64)
    text = f"{cut:.6g}{unit}"
    lower, upper = (f"< {text}", text) if below else (f"≤ {text}", f"> {text}")
    is_lower = values.lt(cut) if below else values.le(cut)
    names = np.where(values.isna(), NOT_RECORDED, np.where(is_lower, lower, upper))
    of_row = pd.Series(names, index=pairs.index, dtype=object)
    levels = [level for level in (lower, upper) if (of_row == level).any()]
    return _grouping(column, label, levels, of_row, rule.format(cut=text))


def _grouping(column: str, label: str, known: list[str], of_row: pd.Series[str], rule: str = "") -> Grouping:
    unknown = [NOT_RECORDED] if (of_row == NOT_RECORDED).any() else []
    return Grouping(column=column, label=label, levels=(*known, *unknown), of_row=of_row, rule=rule)
