"""What a table is, and how its numbers are written.

A table has one panel per study. ``data`` is tidy and names the runs behind every row; ``panels`` are what a
reader sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

MISSING = "missing"
"""Stands in every cell of an arm without final runs."""
NONE = "–"
"""Stands where there is no number."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with one panel per study, as numbers and as text."""

    name: str
    """File name without its ending."""
    title: str
    data: pd.DataFrame
    """The numbers at full precision, one row per study and arm, with the hashes of the runs behind them."""
    panels: list[tuple[str, pd.DataFrame]]
    """Header of the panel and its text, indexed by row label; all panels have the same columns."""
    notes: list[str] = field(default_factory=list)
    """Sentences below the table."""
    widths: tuple[float, ...] = ()
    """Shares of a page's width, of the row label and each column, where cells are running text: LaTeX breaks
    such a table over pages. Empty for a table of numbers."""
    cautions: list[str] = field(default_factory=list)
    """What the marks beside its rows mean; printed wherever the table is, before the notes."""


def panel_of(rows: Sequence[tuple[str, Sequence[str]]], columns: Sequence[str]) -> pd.DataFrame:
    """Make a panel from row labels and cells. Rows of equal labels stay apart: people choose labels."""
    return pd.DataFrame([list(cells) for _, cells in rows], [label for label, _ in rows], list(columns))


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """Write a value with its interval: ``0.487 [0.408, 0.561]``; a dash for what is not known of them."""
    if not np.isfinite(value):
        return NONE
    if np.isnan(low) or np.isnan(high):
        return f"{value:{sign}.3f} [{NONE}]"
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def p_text(p: float) -> str:
    """Write a p value with three decimals, ``< 0.001`` below that, a dash where it is not finite."""
    if not np.isfinite(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(row: pd.Series[Any], name: str) -> float:
    """Read a number of a row; NaN where the column is missing or empty."""
    value = row.get(name)
    return float("nan") if value is None else float(value)


def plain_number(value: float) -> str:
    """Write a number with three decimals, a dash where it is not finite."""
    return f"{value:.3f}" if np.isfinite(value) else NONE


def interval_text(row: pd.Series[Any], value: str = "value", prefix: str = "", sign: str = "") -> str:
    """Write a row's value with the interval in its columns ``low`` and ``high``, names prefixed."""
    return with_interval(number(row, value), number(row, f"{prefix}low"), number(row, f"{prefix}high"), sign)


def both_p(row: pd.Series[Any]) -> str:
    """Write an arm's Holm p, and the p with the other arm's predictions put in for failed runs beside it."""
    counted, put_in = number(row, "p_holm"), number(row, "p_holm_put_in")
    # Arms without a failed run in either place have equal numbers in both, where the study has both at all.
    alike = not np.isfinite(put_in) or (number(row, "p_put_in") == number(row, "p") and counted == put_in)
    return p_text(counted) if alike else f"{p_text(counted)}; put in {p_text(put_in)}"
