"""The tables of OASIS-1, 2 and 3: which MMSE a session has, and when it was."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from learner_ray.cohort.any_table import SUFFIXES, Table, open_table
from learner_ray.cohort.dates import Moment
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.score import MMSE
from learner_ray.cohort.sources.importer import FoundScan, ImportOptions, LeftOut, ScoreRow
from learner_ray.cohort.sources.oasis2 import COVARIATES, session_table
from learner_ray.cohort.sources.scores import read_scores
from learner_ray.cohort.sources.tables import FIRST_ROW, covariates_of, numbers
from learner_ray.core.errors import UserError

_DAY = re.compile(r"_d(\d{4})$")
_COVARIATES: Mapping[int, Mapping[str, Sequence[str]]] = {
    1: {"age": ("Age",), "sex": ("M/F",)},  # education is in five classes there, not in years
    2: COVARIATES,
}


def scores_of(
    root: Path,
    study: int,
    scans: Sequence[FoundScan],
    options: ImportOptions,
    notes: list[str],
    left_out: list[LeftOut],
) -> tuple[list[FoundScan], list[ScoreRow]]:
    """The scores of the sessions, and the scans with the day that the table states.

    Args:
        root: holds the table, or its parent does.
        study: 1, 2 or 3.
        scans: the sessions that have an image.
        options: may name the table.
        notes: what was read is added.
        left_out: sessions of the table without an image are added.

    Raises:
        UserError: there is no table, or it is faulty.
    """
    if study == 3 or options.scores is not None:
        return [*scans], _of_visits(root, options, notes, left_out)
    path, table = session_table(root) if study == 2 else _cross_sectional(root)
    session = "MRI ID" if study == 2 else "ID"
    faults = Faults(str(path))
    mmse = numbers(table["MMSE"], MMSE, options.missing, faults)
    faults.raise_any()
    covariates, unread = covariates_of(table, _COVARIATES[study], options.missing)
    notes += [f"sessions are listed in {path.name}", *unread]
    rows, more = [], {}
    on_disk = {scan.image for scan in scans}
    for i, cells in enumerate(table.to_dict("records")):
        image, visit = cells[session].strip(), cells.get("Visit", "1").strip()
        row = ScoreRow(
            table=path,
            row=i + FIRST_ROW,
            patient=image[:9],
            visit=visit,
            when=_delay(path, i + FIRST_ROW, cells["MR Delay"]) if study == 2 else None,
            image=image,
            score=mmse[i],
        )
        rows.append(row)
        known = {name: value for name, value in vars(covariates[i]).items() if value not in ("",) and value == value}
        more[image] = {name: f"{v:g}" if isinstance(v, float) else v for name, v in known.items()}
        if image not in on_disk and not (study == 1 and image.endswith("MR2")):
            where = f"{path}, row {row.row}"
            reason = "the session has no image on disk"
            left_out.append(LeftOut(path=where, patient=row.patient, visit=visit, reason=reason))
    by_image = {row.image: row for row in rows}
    return [_with_row(scan, by_image.get(scan.image), more) for scan in scans], rows


def _with_row(scan: FoundScan, row: ScoreRow | None, more: Mapping[str, Mapping[str, str]]) -> FoundScan:
    return scan if row is None else replace(scan, visit=row.visit, when=row.when, more=more[scan.image])


def _delay(path: Path, row: int, text: str) -> Moment:
    try:
        return Moment(days=float(text), clock=True, dated=False)
    except ValueError as error:
        raise UserError(f"{path}, row {row}: MR Delay {text!r} is no number of days; correct it") from error


def _cross_sectional(root: Path):  # type: ignore[no-untyped-def]
    from learner_ray.cohort.sources.tables import read_table

    found = sorted(p for p in root.glob("oasis_cross-sectional*") if p.suffix.lower() in SUFFIXES)
    if len(found) != 1:
        names = " and ".join(path.name for path in found) or "no oasis_cross-sectional.csv or .xlsx"
        raise UserError(f"{root} holds {names}; keep one table there, or name one in --scores")
    return found[0], read_table(found[0], ("ID", "MMSE"))


def _of_visits(
    root: Path, options: ImportOptions, notes: list[str], left_out: list[LeftOut]
) -> list[ScoreRow]:
    """Scores by subject and days since entry, as the clinical tables of OASIS-3 have them."""
    path = options.scores or _clinical(root)
    table = open_table(path)
    options = replace(options, score=options.score or "MMSE")
    label = table.column("OASIS_session_label") or table.column("ADRC_ADRCCLINICALDATA ID")
    if label is None or table.column("days_to_visit") or "day" in options.columns:
        return read_scores(path, options, notes, left_out)
    rows = read_scores(path, replace(options, columns={"visit": label, **options.columns}), notes, left_out)
    return [replace(row, visit="", when=_day_of(row)) for row in rows]


def _day_of(row: ScoreRow) -> Moment | None:
    day = _DAY.search(row.visit)
    return Moment(days=float(day[1]), clock=True, dated=False) if day else None


def _clinical(root: Path) -> Path:
    """The one table beside the images that has MMSE and the days of visits."""
    tables = sorted(p for p in root.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    found = [path for path in tables if _is_clinical(open_table(path))]
    if len(found) != 1:
        names = " and ".join(path.name for path in found) or "no table with MMSE and days_to_visit"
        raise UserError(f"{root} holds {names}; name the table of scores in --scores")
    return found[0]


def _is_clinical(table: Table) -> bool:
    when = ("days_to_visit", "OASIS_session_label", "ADRC_ADRCCLINICALDATA ID")
    return bool(table.column("MMSE")) and any(table.column(name) for name in when)
