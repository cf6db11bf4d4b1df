"""The tables of a BIDS data set, and the score that they give each session."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from learner_ray.cohort.any_table import Table, open_table
from learner_ray.cohort.dates import Moment, parse_date
from learner_ray.cohort.labels import visit_key
from learner_ray.cohort.missing import is_missing
from learner_ray.cohort.sources.importer import ImportOptions, ScoreRow
from learner_ray.cohort.sources.scores import score_names
from learner_ray.core.errors import UserError

Times = Mapping[tuple[str, str], Moment]
"""When each session was, by patient and session."""


@dataclass(frozen=True, kw_only=True)
class SessionTables:
    """What the tables say of the sessions of one patient."""

    table: Table | None
    """``sub-X_sessions.tsv``; None where there is none."""
    rows: Mapping[str, tuple[int, Mapping[str, str]]]
    """Row and cells of each session, by its name."""
    acquired: Mapping[str, str]
    """The earliest ``acq_time`` of the ``_scans.tsv`` of each session."""


def session_tables(root: Path, patient: str, on_disk: Collection[str] = ()) -> SessionTables:
    """Reads the tables of one patient.

    Args:
        root: the data set.
        patient: the name of the patient's folder.
        on_disk: the sessions that have a folder; a table may write 1 for ``ses-01``.

    Raises:
        UserError: one of them cannot be read, or lists a session twice.
    """
    folder = root / patient
    path = folder / f"{patient}_sessions.tsv"
    table = _filled(path)
    alike = {visit_key(session): session for session in on_disk}
    rows: dict[str, tuple[int, Mapping[str, str]]] = {}
    column = table.column("session_id") if table else None
    if table and column is None:
        raise UserError(f"{path}, row 1: no column session_id; found: {', '.join(table.columns)}")
    for row, cells in table.rows if table and column else ():
        name = _session(cells[column or ""])
        name = name if name in on_disk else alike.get(visit_key(name), name)
        if name in rows:
            raise UserError(f"{path}, row {row}: {name} is listed twice, first in row {rows[name][0]}")
        rows[name] = (row, cells)
    acquired = {}
    for scans in sorted([*folder.glob("*_scans.tsv"), *folder.glob("ses-*/*_scans.tsv")]):
        listed = _filled(scans)
        times = listed.column("acq_time") if listed else None
        known = [c[times] for _, c in listed.rows if not is_missing(c[times])] if listed and times else []
        if known:
            acquired[scans.parent.name if scans.parent != folder else ""] = min(known)
    return SessionTables(table=table, rows=rows, acquired=acquired)


def _filled(path: Path) -> Table | None:
    """A table; None where there is none, or an empty file or a link without content."""
    return open_table(path) if path.is_file() and path.stat().st_size else None


def cell_of(tables: SessionTables, session: str, name: str) -> str:
    """The cell of a session in the table of sessions, by the column's name; empty where it is missing."""
    column = tables.table.column(name) if tables.table else None
    cells = tables.rows.get(session, (0, {}))[1]
    text = cells.get(column, "") if column else ""
    return "" if is_missing(text, ()) else text


def day_or_time(text: str) -> Moment | None:
    """The moment that a cell states, in which midnight stands for the whole day; None where there is none."""
    when = parse_date(text)
    return when and replace(when, clock=when.clock and when.days % 1 > 0)


def scores_of(
    root: Path,
    tables: Mapping[str, SessionTables],
    times: Times,
    options: ImportOptions,
    notes: list[str],
) -> list[ScoreRow]:
    """The score of each session: from the tables of sessions, else from ``phenotype/*.tsv``.

    Raises:
        UserError: no table of sessions has the score, or a cell is no number. A score in participants.tsv is
            that of one visit, and refused.
    """
    names = (options.columns["score"],) if "score" in options.columns else score_names(options.score)
    if not names:
        raise UserError("name the score in --score, as the tables of sessions call it: --score MMSE")
    found = [
        row for patient, of in tables.items() for row in _of_sessions(patient, of, names, times, options)
    ]
    if found:
        notes.append(f"scores: column {names[0]} of the tables of sessions")
        return found
    for path in sorted((root / "phenotype").glob("*.tsv")):
        table = _filled(path)
        rows = _of_phenotype(table, names, options) if table else []
        if rows:
            notes.append(f"scores: {path.name} in phenotype")
            return rows
    participants = _filled(root / "participants.tsv")
    if participants and any(participants.column(name) for name in names):
        raise UserError(
            f"{participants.path}: {names[0]} stands here alone, which is one value per patient and no score "
            "of each visit; give a table of scores in --scores"
        )
    raise UserError(
        f"{root}: no table of sessions and no phenotype/*.tsv has a column {' or '.join(names)}; name the "
        "column in --columns score=NAME, or give a table in --scores"
    )


def _of_sessions(
    patient: str, tables: SessionTables, names: Sequence[str], times: Times, options: ImportOptions
) -> list[ScoreRow]:
    table = tables.table
    column = next((c for name in names if table and (c := table.column(name))), None)
    if table is None or column is None:
        return []
    return [
        ScoreRow(
            table=table.path,
            row=row,
            patient=patient,
            visit=session,
            when=_examined(tables, session, options) or times.get((patient, session)),
            score=_number(table, row, column, cells[column], options),
        )
        for session, (row, cells) in tables.rows.items()
    ]


def _examined(tables: SessionTables, session: str, options: ImportOptions) -> Moment | None:
    """When a session's score was taken; None where the user trusts another source of times."""
    return None if options.time_from else day_or_time(cell_of(tables, session, "examination_date"))


def _of_phenotype(table: Table, names: Sequence[str], options: ImportOptions) -> list[ScoreRow]:
    column = next((c for name in names if (c := table.column(name))), None)
    patient, session = table.column("participant_id"), table.column("session_id")
    if column is None or patient is None or session is None:
        return []
    return [
        ScoreRow(
            table=table.path,
            row=row,
            patient=cells[patient] if cells[patient].startswith("sub-") else f"sub-{cells[patient]}",
            visit=_session(cells[session]),
            score=_number(table, row, column, cells[column], options),
        )
        for row, cells in table.rows
    ]


def _number(table: Table, row: int, column: str, text: str, options: ImportOptions) -> float:
    if is_missing(text, options.missing):
        return math.nan
    value = table.number(text)
    if value is None:
        raise UserError(
            f"{table.path}, row {row}: {column} {text!r} is no number; correct it, or name the code of a "
            "missing score in --missing"
        )
    return value


def _session(text: str) -> str:
    return text if text.startswith("ses-") else f"ses-{text}"
