"""The tables of OASIS-1, 2 and 3: which score a session has, and when it was."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from learner_ray.cohort.any_table import SUFFIXES, Table, open_table, tables_among
from learner_ray.cohort.covariates import read_covariates
from learner_ray.cohort.dates import Moment
from learner_ray.cohort.sources.importer import FoundScan, ImportOptions, LeftOut, ScoreRow
from learner_ray.cohort.sources.join import left_row
from learner_ray.cohort.sources.oasis2 import COVARIATES, session_table
from learner_ray.cohort.sources.scores import read_scores
from learner_ray.core.errors import UserError

_DAY = re.compile(r"_d(\d{4})$")
_SESSIONS: Mapping[int, Mapping[str, str]] = {
    1: {"patient": "ID", "image": "ID"},
    2: {"patient": "Subject ID", "visit": "Visit", "day": "MR Delay", "image": "MRI ID"},
}
_COVARIATES: Mapping[int, Mapping[str, Sequence[str]]] = {
    1: {"age": ("Age",), "sex": ("M/F",)},  # education is in five classes there, not in years
    2: COVARIATES,
}


def scores_of_sessions(
    root: Path, study: int, options: ImportOptions, notes: list[str], left_out: list[LeftOut]
) -> list[ScoreRow]:
    """The scores of OASIS-1 or 2, one per MRI session, with what else is known of the subject.

    Args:
        root: holds the table.
        study: 1 or 2.
        options: name the score.
        notes: what was read is added.
        left_out: rows that cannot be used are added.

    Raises:
        UserError: there is no table, or it is faulty.
    """
    path = session_table(_holding(root, "oasis_longitudinal*"))[0] if study == 2 else _cross_sectional(root)
    table = open_table(path)
    options = replace(options, columns={**_SESSIONS[study], **options.columns})
    rows = read_scores(table, options, notes, left_out)
    named = {n: next((c for c in names if table.column(c)), "") for n, names in _COVARIATES[study].items()}
    columns = {name: column for name, column in named.items() if column}
    known, unread = read_covariates(table.rows, columns)
    notes += unread
    return [replace(row, patient=row.image[:9], more=known[row.row].cells) for row in rows]


def with_rows(
    scans: Sequence[FoundScan], rows: Sequence[ScoreRow], on_disk: Container[str], left_out: list[LeftOut]
) -> list[FoundScan]:
    """Scans with the visit and day that the table states of their session.

    Args:
        scans: those to take.
        rows: one per session.
        on_disk: the sessions that have an image, taken or not.
        left_out: sessions without an image are added.
    """
    by_image = {row.image: row for row in rows}
    left_out += [
        left_row(row, "the session has no image on disk") for row in rows if row.image not in on_disk
    ]
    stated = ((scan, by_image.get(scan.image)) for scan in scans)
    return [
        scan if row is None else replace(scan, visit=row.visit or scan.visit, when=row.when)
        for scan, row in stated
    ]


def _holding(root: Path, pattern: str) -> Path:
    """The folder that holds a table: the one that was named, else the only one right below it that does."""
    below = [] if any(root.glob(pattern)) else sorted({path.parent for path in root.glob(f"*/{pattern}")})
    return below[0] if len(below) == 1 else root


def _cross_sectional(root: Path) -> Path:
    root = _holding(root, "oasis_cross-sectional*")
    found = sorted(p for p in root.glob("oasis_cross-sectional*") if p.suffix.lower() in SUFFIXES)
    if len(found) != 1:
        names = " and ".join(path.name for path in found) or "no oasis_cross-sectional.csv or .xlsx"
        raise UserError(f"{root} holds {names}; keep one table there, or name one in --scores")
    return found[0]


def scores_of_days(
    root: Path, options: ImportOptions, notes: list[str], left_out: list[LeftOut]
) -> list[ScoreRow]:
    """Scores by subject and days since entry, as the clinical tables of OASIS-3 have them.

    Args:
        root: holds the table, unless ``options`` names one.
        options: name the score.
        notes: what was read is added.
        left_out: rows that cannot be used are added.

    Raises:
        UserError: there is no table, there are several, or it is faulty.
    """
    table = open_table(options.scores) if options.scores else _clinical(root, notes)
    label = table.column("OASIS_session_label") or table.column("ADRC_ADRCCLINICALDATA ID")
    if label is None or table.column("days_to_visit") or "day" in options.columns:
        return read_scores(table, options, notes, left_out)
    options = replace(options, columns={"visit": label, **options.columns})
    rows = read_scores(table, options, notes, left_out)
    return [replace(row, visit="", when=_day_of(row)) for row in rows]


def _day_of(row: ScoreRow) -> Moment | None:
    day = _DAY.search(row.visit)
    return Moment(days=float(day[1]), clock=True, dated=False) if day else None


def _clinical(root: Path, notes: list[str]) -> Table:
    """The one table beside the images that has MMSE and the days of visits."""
    passed_over: list[str] = []
    found = [table for table in tables_among(root.iterdir(), passed_over) if _is_clinical(table)]
    if len(found) != 1:
        names = " and ".join(table.path.name for table in found) or "no table with MMSE and days_to_visit"
        said = f"{root} holds {names}; name the table of scores in --scores"
        raise UserError("\n".join([said, *passed_over]))
    notes += passed_over
    return found[0]


def _is_clinical(table: Table) -> bool:
    when = ("days_to_visit", "OASIS_session_label", "ADRC_ADRCCLINICALDATA ID")
    return bool(table.column("MMSE")) and any(table.column(name) for name in when)
