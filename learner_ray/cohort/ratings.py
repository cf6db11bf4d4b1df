"""Ratings of single scans: what each clip of a visit was scored, before the visit got one score.

They decide nothing in training. They are kept so that a report can say how well the score repeats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import is_missing
from learner_ray.cohort.score import Score
from learner_ray.cohort.table import Line

if TYPE_CHECKING:
    from learner_ray.cohort.cohort import Cohort

COLUMN = "rating"
"""Optional column of a manifest."""


def read_ratings(
    lines: Sequence[Line], score: Score, missing: Sequence[str], faults: Faults
) -> Mapping[int, float]:
    """The ratings that the lines of a manifest state, by row; a cell may be empty or a missing code.

    Args:
        lines: row numbers and cells.
        score: the cohort's score, whose range a rating has.
        missing: codes that stand for "none".
        faults: where a rating that is no number, or out of range, is noted.
    """
    found = {}
    for row, cells in lines:
        text = cells.get(COLUMN, "").strip()
        if not text or is_missing(text, missing):
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not score.low <= value <= score.high:
            faults.add(
                row,
                f"rating {text!r} is no number from {score.low:g} to {score.high:g}, the range of "
                f"{score.name}; correct it or leave it empty",
            )
            continue
        found[row] = value
    return found


def rating_table(cohort: Cohort) -> pd.DataFrame:
    """The ratings of a cohort, one row per rated scan: patient (pseudonym), visit (its rank
    among the patient's), rating."""
    rated = cohort.scans[cohort.scans["scan"].isin(set(cohort.ratings))]
    return pd.DataFrame(
        {
            "patient": [cohort.pseudonym(p) for p in rated["patient"]],
            "visit": [cohort.visit_rank(*of) for of in zip(rated["patient"], rated["visit"], strict=True)],
            "rating": [float(cohort.ratings[scan]) for scan in rated["scan"]],
        }
    )
