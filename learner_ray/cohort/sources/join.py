"""Which score belongs to which scan, by which rule, and how far apart the two were.

The rules, in order: ``scan`` (the table names this very scan), ``visit`` (one patient and visit),
``nearest`` (the patient's score that is nearest in time, within the window). Of several scores that one rule
finds, the nearest in time counts, of two equally near the earlier. A rule whose rows hold no score leaves the
scan to the next.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from learner_ray.cohort.labels import visit_key
from learner_ray.cohort.patients import normal_form
from learner_ray.cohort.sources.importer import RULES, FoundScan, LeftOut, ScoreRow

NO_SCORE = "no score: "
"""How the reason of a scan without a score begins."""
_NAMED = 5
"""Rows that a note names."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A scan with its score."""

    scan: FoundScan
    """The scan."""
    score: ScoreRow
    """The row of the table that holds its score."""
    rule: str
    """``scan``, ``visit`` or ``nearest``."""
    distance: float
    """Days from the scan to its score, negative where the score came first; NaN where a time is unknown."""
    nearer: str = ""
    """Table and row of a nearer row of the patient that holds no score, as ``vitals.csv:5``; empty where
    there is none, or the score is not the nearest by time."""


def join(
    scans: Sequence[FoundScan],
    scores: Sequence[ScoreRow],
    window: float,
    rules: Sequence[str] = RULES,
) -> tuple[list[Joined], list[LeftOut]]:
    """Gives every scan its score.

    Args:
        scans: each is joined on its own.
        scores: those of all patients.
        window: days that a score may lie before or after a scan, for the rule ``nearest``.
        rules: those to use.

    Returns:
        The scans that have a score, and the others with the reason.
    """
    unique = _one_patient_each(scans) and _one_patient_each(scores)

    def named(each: FoundScan | ScoreRow) -> tuple[str, str]:
        return each.image, "" if unique else normal_form(each.patient)

    of_patient: dict[str, list[ScoreRow]] = defaultdict(list)
    of_image: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row in scores:
        of_patient[normal_form(row.patient)].append(row)
        if row.image:
            of_image[named(row)].append(row)
    joined, left_out = [], []
    for scan in scans:
        rows = of_patient[normal_form(scan.patient)]
        candidates = _candidates(scan, rows, of_image.get(named(scan), ()) if scan.image else (), window)
        found = next((each for rule in rules if (each := _best(scan, rule, candidates[rule]))), None)
        if found is not None:
            joined.append(found)
        else:
            reason = _why_not(scan, rows, window if "nearest" in rules else None)
            left_out.append(left(scan, NO_SCORE + reason))
    return joined, left_out


def _one_patient_each(images: Sequence[FoundScan | ScoreRow]) -> bool:
    """Whether every id of an image occurs with one patient; else ids are numbers within a patient, such as 1
    and 2, and name an image only together with its patient."""
    owner: dict[str, str] = {}
    return all(
        owner.setdefault(each.image, patient) == patient
        for each, patient in ((each, normal_form(each.patient)) for each in images if each.image)
    )


def left(scan: FoundScan, reason: str) -> LeftOut:
    """A scan that is left out, for a reason."""
    return LeftOut(path=str(scan.path), patient=scan.patient, visit=_visit(scan), reason=reason)


def left_row(row: ScoreRow, reason: str) -> LeftOut:
    """A row of a table of scores that is left out, for a reason."""
    return LeftOut(path=f"{row.table}, row {row.row}", patient=row.patient, visit=row.visit, reason=reason)


def of_one_visit(joined: Sequence[Joined]) -> tuple[list[Joined], list[LeftOut]]:
    """Takes one of the repeats of a scan at a visit; the others are left out, and say which was taken.

    Returns:
        The scans that are taken, in their order, and the others.
    """
    best: dict[tuple[str, str, str], Joined] = {}
    for each in joined:
        if each.scan.group:
            key = _repeat(each.scan)
            best[key] = min(best.get(key, each), each, key=lambda of: of.scan.rank)
    kept, left_out = [], []
    for each in joined:
        taken = best.get(_repeat(each.scan), each) if each.scan.group else each
        if taken is each:
            kept.append(each)
        else:
            left_out.append(left(each.scan, f"a repeat: {taken.scan.path.name} of this visit was taken"))
    return kept, left_out


def one_visit_per_score(joined: Sequence[Joined]) -> tuple[list[Joined], list[LeftOut]]:
    """Leaves a score that is the nearest of several visits to the one it is nearest to: used twice, it would
    make a pair of visits without change.

    Returns:
        The scans that keep their score, in their order, and the others.
    """
    nearest: dict[tuple[Path, int], Joined] = {}
    for each in joined:
        if each.rule == "nearest":
            row = (each.score.table, each.score.row)
            nearest[row] = min(nearest.get(row, each), each, key=lambda of: abs(of.distance))
    kept, left_out = [], []
    for each in joined:
        best = nearest.get((each.score.table, each.score.row), each)
        if each.rule != "nearest" or _visit(best.scan) == _visit(each.scan):
            kept.append(each)
        else:
            reason = f"{NO_SCORE}that of row {each.score.row} is nearer to {_visit(best.scan)}"
            left_out.append(left(each.scan, reason))
    return kept, left_out


def _visit(scan: FoundScan) -> str:
    return scan.visit or (scan.when.text if scan.when else "")


def _repeat(scan: FoundScan) -> tuple[str, str, str]:
    return scan.patient, _visit(scan), scan.group


def notes_of(joined: Sequence[Joined], window: float) -> list[str]:
    """How many scores each rule found, and how far from their scans they are."""
    rules = Counter(each.rule for each in joined)
    notes = [f"scores by rule: {', '.join(f'{n} {rule}' for rule, n in rules.items())}"] if joined else []
    far = [abs(each.distance) for each in joined if not math.isnan(each.distance)]
    if far:
        notes.append(f"a score is at most {max(far):.3g} days from its scan, in the median {median(far):.3g}")
    older = sorted({each.nearer for each in joined if each.nearer})
    if older:
        count = sum(bool(each.nearer) for each in joined)
        notes.append(
            f"{count} scans have a score though a nearer row of the patient holds none or was left out: "
            f"{', '.join(older[:_NAMED])}{', ...' if len(older) > _NAMED else ''}"
        )
    beyond = sum(distance > window for distance in far)
    if beyond:
        notes.append(
            f"{beyond} scores of the scan's own visit are more than {window:g} days from it: see score_days"
        )
    return notes


def _candidates(
    scan: FoundScan, rows: Sequence[ScoreRow], of_image: Sequence[ScoreRow], window: float
) -> dict[str, Sequence[ScoreRow]]:
    """The rows that each rule finds for a scan."""
    key = visit_key(scan.visit) if scan.visit else None
    of_visit = [row for row in rows if key is not None and row.visit and visit_key(row.visit) == key]
    near = [row for row in rows if abs(_distance(scan, row)) <= window]
    return {"scan": of_image, "visit": of_visit, "nearest": near}


def _best(scan: FoundScan, rule: str, rows: Sequence[ScoreRow]) -> Joined | None:
    usable = [row for row in rows if not math.isnan(row.score)]
    if not usable:
        return None
    best = min(usable, key=lambda row: _nearness(scan, row))
    if scan.group and not scan.visit:  # so that its repeats are known to be of one visit
        scan = replace(scan, visit=best.visit)
    distance = _distance(scan, best)
    without = [row for row in rows if math.isnan(row.score) and abs(_distance(scan, row)) < abs(distance)]
    nearer = f"{without[0].table.name}:{without[0].row}" if without and rule == "nearest" else ""
    return Joined(scan=scan, score=best, rule=rule, distance=distance, nearer=nearer)


def _distance(scan: FoundScan, row: ScoreRow) -> float:
    if scan.when is None or row.when is None:
        return math.nan
    distance = row.when.minus(scan.when)
    return math.nan if distance is None else distance


def _nearness(scan: FoundScan, row: ScoreRow) -> tuple[float, float, int]:
    """Sorts rows by distance, then the earlier first; rows without a time come last, in their order."""
    distance = _distance(scan, row)
    return (math.inf, 0.0, row.row) if math.isnan(distance) else (abs(distance), distance, row.row)


def _why_not(scan: FoundScan, rows: Sequence[ScoreRow], window: float | None) -> str:
    """Why a scan has no score.

    Args:
        scan: the scan.
        rows: those of its patient.
        window: days; None where nearness in time gives no score.
    """
    if not rows:
        return "no row of this patient"
    none = [row for row in rows if math.isnan(row.score)]
    missing = next((row for row in none if _same_visit(scan, row)), None)
    near = [row for row in none if window is not None and abs(_distance(scan, row)) <= window]
    missing = missing or min(near, key=lambda row: _nearness(scan, row), default=None)
    said = [f"missing in {missing.table.name}, row {missing.row}"] if missing else []
    timed = [row for row in rows if not math.isnan(row.score + _distance(scan, row))]
    if window is not None and timed:
        best = min(timed, key=lambda row: _nearness(scan, row))
        away = abs(_distance(scan, best))
        said.append(f"the nearest (row {best.row}) is {away:g} days away, more than {window:g}")
    return "; ".join(said) or "no row of this visit"


def _same_visit(scan: FoundScan, row: ScoreRow) -> bool:
    if scan.image and row.image == scan.image:
        return True
    if scan.visit and row.visit and visit_key(row.visit) == visit_key(scan.visit):
        return True
    return _distance(scan, row) == 0
