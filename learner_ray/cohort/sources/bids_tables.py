"""The tables of a BIDS data set: when each session was, and which score it has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from learner_ray.cohort.any_table import Table, open_table
from learner_ray.cohort.dates import Moment, parse_date
from learner_ray.cohort.faults import FaultsError
from learner_ray.cohort.labels import visit_key
from learner_ray.cohort.missing import is_missing
from learner_ray.cohort.sources.importer import ImportOptions, ScoreRow
from learner_ray.cohort.sources.scores import score_names
from learner_ray.core.errors import UserError

DAYS_PER_YEAR = 365.25
"""Days that a year of age counts."""
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


def session_tables(root: Path, patient: str) -> SessionTables:
    """Reads the tables of one patient.

    Raises:
        UserError: one of them cannot be read, or lists a session twice.
    """
    folder = root / patient
    path = folder / f"{patient}_sessions.tsv"
    table = open_table(path) if path.is_file() and path.stat().st_size else None
    rows: dict[str, tuple[int, Mapping[str, str]]] = {}
    column = table.column("session_id") if table else None
    if table and column is None:
        raise UserError(f"{path}, row 1: no column session_id; found: {', '.join(table.columns)}")
    for row, cells in table.rows if table and column else ():
        name = _session(cells[column or ""])
        if name in rows:
            raise UserError(f"{path}, row {row}: {name} is listed twice, first in row {rows[name][0]}")
        rows[name] = (row, cells)
    acquired = {}
    for scans in sorted([*folder.glob("*_scans.tsv"), *folder.glob("ses-*/*_scans.tsv")]):
        listed = open_table(scans)
        times = listed.column("acq_time")
        known = [c[times] for _, c in listed.rows if times and not is_missing(c[times], ())]
        if known:
            acquired[scans.parent.name if scans.parent != folder else ""] = min(known)
    return SessionTables(table=table, rows=rows, acquired=acquired)


def times_of(
    root: Path,
    sessions: Mapping[str, Sequence[str]],
    tables: Mapping[str, SessionTables],
    options: ImportOptions,
    notes: list[str],
) -> Times:
    """When each session was. Of each patient the first source counts that has all sessions: ``acq_time``, then
    ``examination_date`` of the table of sessions, ``acq_time`` of the tables of scans, age, the label.

    Args:
        root: the data set, for messages.
        sessions: the sessions that have images, by patient.
        tables: what is known of each patient.
        options: may name the one source to use in ``time_from``.
        notes: what was used is added.

    Raises:
        UserError: sources contradict each other on the order of a patient's visits, or an unknown one is named.
    """
    if options.time_from and options.time_from not in SOURCES:
        raise UserError(f"--time-from {options.time_from} is unknown; known: {', '.join(SOURCES)}")
    used: Counter[str] = Counter()
    found: dict[tuple[str, str], Moment] = {}
    faults = []
    for patient, of in sessions.items():
        for name in [options.time_from] if options.time_from else SOURCES:
            moments = {session: SOURCES[name](tables[patient], session) for session in dict.fromkeys(of)}
            times = {session: when for session, when in moments.items() if when is not None}
            if len(times) < len(moments):
                continue
            contradiction = _contradiction(times)
            if contradiction and name == "age":  # whole years often cannot tell two visits
                continue
            if contradiction:
                faults.append(("", f"{patient}: by {name}, {contradiction}"))
            used[name] += 1
            found |= {(patient, session): when for session, when in times.items()}
            break
    if faults:
        title = f"{root}: the times of visits contradict their labels"
        remedy = f"correct the tables, or choose in --time-from: {', '.join(SOURCES)}"
        raise FaultsError.of(title, [("  ", line) for _, line in faults], remedy)
    if used:
        by = ", ".join(f"{name} ({n} patients)" for name, n in used.items())
        notes.append(f"times of visits: {by}")
    return found


def _contradiction(times: Mapping[str, Moment]) -> str:
    """Why times cannot be right, given the labels of the sessions; empty where they may be."""
    ordered = sorted(times.items(), key=lambda item: item[1].days)
    for (earlier, first), (later, second) in pairwise(ordered):
        if first.days == second.days:
            return f"{earlier} and {later} are both at {first.text}"
        keys = visit_key(earlier), visit_key(later)
        if keys[0][0] == keys[1][0] != "text" and keys[0][1] > keys[1][1]:  # type: ignore[operator]
            return f"{earlier} ({first.text}) comes before {later} ({second.text})"
    return ""


def _cell(tables: SessionTables, session: str, name: str) -> str:
    column = tables.table.column(name) if tables.table else None
    cells = tables.rows.get(session, (0, {}))[1]
    text = cells.get(column, "") if column else ""
    return "" if is_missing(text, ()) else text


def _dated(name: str) -> Callable[[SessionTables, str], Moment | None]:
    return lambda tables, session: _day_or_time(_cell(tables, session, name))


def _day_or_time(text: str) -> Moment | None:
    """The moment of a cell, in which midnight stands for the whole day."""
    when = parse_date(text)
    return when and replace(when, clock=when.clock and when.days % 1 > 0)


def _scans(tables: SessionTables, session: str) -> Moment | None:
    return _day_or_time(tables.acquired.get(session, ""))


def _age(tables: SessionTables, session: str) -> Moment | None:
    years = tables.table.number(_cell(tables, session, "age")) if tables.table else None
    return None if years is None else Moment(days=years * DAYS_PER_YEAR, dated=False)


def _label(tables: SessionTables, session: str) -> Moment | None:
    """The time that a label states with its unit; an index states none."""
    kind, value = visit_key(session)
    return Moment(days=float(value), dated=False) if kind == "time" else None


SOURCES: Mapping[str, Callable[[SessionTables, str], Moment | None]] = {
    "acq_time": _dated("acq_time"),
    "examination_date": _dated("examination_date"),
    "scans": _scans,
    "age": _age,
    "label": _label,
}
"""What may tell when a session was, in the order in which it is asked."""


def scores_of(
    root: Path,
    tables: Mapping[str, SessionTables],
    times: Times,
    options: ImportOptions,
    notes: list[str],
) -> list[ScoreRow]:
    """The score of each session: from the tables of sessions, else from ``phenotype/*.tsv``.

    Raises:
        UserError: no table of sessions has the score, or a cell is no number. A score in participants.tsv is that
            of one visit, and refused.
    """
    names = (options.columns["score"],) if "score" in options.columns else score_names(options.score)
    if not names:
        raise UserError("name the score in --score, as the tables of sessions call it: --score MMSE")
    found = [row for patient, of in tables.items() for row in _of_sessions(patient, of, names, times, options)]
    if found:
        notes.append(f"scores: column {names[0]} of the tables of sessions")
        return found
    for path in sorted((root / "phenotype").glob("*.tsv")):
        rows = _of_phenotype(open_table(path), names, options)
        if rows:
            notes.append(f"scores: {path.name} in phenotype")
            return rows
    participants = root / "participants.tsv"
    if participants.is_file() and any(open_table(participants).column(name) for name in names):
        raise UserError(
            f"{participants}: {names[0]} stands here alone, which is one value per patient and no score of each "
            "visit; give a table of scores in --scores"
        )
    raise UserError(
        f"{root}: no table of sessions and no phenotype/*.tsv has a column {' or '.join(names)}; name the column "
        "in --columns score=NAME, or give a table in --scores"
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
    return None if options.time_from else SOURCES["examination_date"](tables, session)


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
            f"{table.path}, row {row}: {column} {text!r} is no number; correct it, or name the code of a missing "
            "score in --missing"
        )
    return value


def _session(text: str) -> str:
    return text if text.startswith("ses-") else f"ses-{text}"
