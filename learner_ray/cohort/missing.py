"""Missing scores, and what else is left out: one rule for every reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learner_ray.cohort.faults import LISTED

ABSENT = ("", "n/a", "na", "nan")
"""Texts that stand for a missing value in any table; the user names further codes."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a source lists or finds, before anything is left out."""

    scans: int
    patients: int
    left_out: Mapping[str, int]
    """Scans left out when tables were read, by reason; those that cannot be decoded are not among them."""


def is_missing(cell: str, codes: Sequence[str]) -> bool:
    """Whether a cell holds no score: empty, one of ``ABSENT``, or a code, in any case or way to write it."""
    text = cell.strip().casefold()
    if text in ABSENT or text in {code.strip().casefold() for code in codes}:
        return True
    number = _number(text)
    return number is not None and number in map(_number, codes)


def without_score(rows: Sequence[int], total: int, what: str = "rows") -> list[str]:
    """The note that counts the rows left out because they have no score; empty where all have one."""
    if not rows:
        return []
    listed = ", ".join(map(str, rows[:LISTED]))
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    return [f"{len(rows)} of {total} {what} left out: no score (row {listed}{more})"]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
