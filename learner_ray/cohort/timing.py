"""The times of visits, from dates, days or labels. Columns that state the same must agree."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from learner_ray.cohort.faults import Faults
from learner_ray.cohort.labels import Label, clashes, parse_label, positions

TOLERANCE_DAYS = 1.0
"""Two columns of days may differ by the time of the day."""
LIFETIME_DAYS = 36_525
"""A hundred years. No two visits of one patient lie further apart."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What one row states about the time of its visit."""

    row: int
    """Number of the row in the file."""
    patient: str
    """Id of the patient, as written."""
    name: str
    """Label of the visit as written; empty where visits have none."""
    days: Mapping[str, float] = field(default_factory=dict)
    """Days by column, each since that column's own start; the first column decides."""

    @property
    def day(self) -> float:
        """Days in the column that decides; NaN where there is none."""
        return next(iter(self.days.values()), math.nan)


def moments(visits: Sequence[Visit], faults: Faults) -> list[float]:
    """The position of each visit among those of its patient: in days, or by its label where no column has
    days.

    Contradictions are noted as faults: labels that cannot be read or compared, a visit with two moments, two
    visits of one moment, columns that disagree on order or interval, and visits more than a lifetime apart.

    Returns:
        one number per visit; meaningless where faults were noted.
    """
    dated = any(visit.days for visit in visits)
    labels = _labels(visits, faults, needed=not dated)
    found = [v.day if dated else labels.get(v.row, math.nan) for v in visits]
    once = _one_moment_each(zip(visits, found, strict=True), faults)
    for patient in once.values():
        ordered = sorted(patient, key=lambda each: each[1])
        for (earlier, _), (later, _) in pairwise(ordered):
            _compare(earlier, later, labels if dated else {}, faults)
        if dated and ordered and ordered[-1][1] - ordered[0][1] > LIFETIME_DAYS:
            first, last = ordered[0][0], ordered[-1][0]
            years = (ordered[-1][1] - ordered[0][1]) / 365.25
            faults.add(
                last.row,
                f"lies {years:.0f} years after row {first.row}, the same patient; correct one of the two",
            )
    return found


def _labels(visits: Sequence[Visit], faults: Faults, *, needed: bool) -> dict[int, float]:
    """By row, where the label stands; empty where labels are not comparable, a fault if they are needed."""
    known: dict[str, Label | None] = {}
    by_row: dict[int, tuple[str, Label]] = {}
    for visit in visits:
        label = known.setdefault(visit.name, parse_label(visit.name))
        if label is not None:
            by_row[visit.row] = (visit.name, label)
        elif needed:
            faults.add(
                visit.row,
                f"visit {visit.name!r} cannot be sorted: write a number, a time with its unit (m06, week -4),"
                " bl or an index (V2), or add dates or days",
            )
    unlike = clashes(by_row)
    for row, fault in unlike if needed else ():
        faults.add(row, fault)
    stand = positions(label for _, label in by_row.values())
    return {} if unlike else dict(zip(by_row, stand, strict=True))


def _one_moment_each(
    found: Iterable[tuple[Visit, float]], faults: Faults
) -> dict[str, list[tuple[Visit, float]]]:
    """Each patient's visits, once each, with their moments; what is not one to one is noted."""
    by_name: dict[tuple[str, str | float], tuple[Visit, float]] = {}
    by_moment: dict[tuple[str, float], Visit] = {}
    once: dict[str, list[tuple[Visit, float]]] = defaultdict(list)
    for visit, moment in found:
        if math.isnan(moment):
            continue
        before, then = by_name.setdefault((visit.patient, visit.name or moment), (visit, moment))
        for column in visit.days if before is not visit else ():
            if visit.days[column] != before.days[column]:
                faults.add(
                    visit.row, f"{column} differs from that of row {before.row}, the same visit; give it one"
                )
        if moment != then:
            continue
        other = by_moment.setdefault((visit.patient, moment), visit)
        if other is visit:
            once[visit.patient].append((visit, moment))
        elif other.name != visit.name:
            faults.add(
                visit.row,
                f"visits {visit.name!r} and {other.name!r} (row {other.row}) of one patient have the same "
                "position in time; give them different numbers or dates, or one name",
            )
    return once


def _compare(earlier: Visit, later: Visit, labels: Mapping[int, float], faults: Faults) -> None:
    """Notes where two visits, in the order of the column that decides, are told otherwise by another."""
    decides, *others = earlier.days or [""]
    for column in others:
        gaps = [later.days[name] - earlier.days[name] for name in (decides, column)]
        if abs(gaps[0] - gaps[1]) > TOLERANCE_DAYS:
            faults.add(
                later.row,
                f"is {gaps[0]:g} days after row {earlier.row} by {decides}, {gaps[1]:g} by {column}: correct "
                f"one of the two, or leave out the column {column}",
            )
    if labels.get(later.row, math.inf) < labels.get(earlier.row, -math.inf):
        faults.add(
            later.row,
            f"visit {later.name!r} comes after visit {earlier.name!r} in row {earlier.row} by {decides}, but "
            "before it by its name: correct one of the two",
        )
