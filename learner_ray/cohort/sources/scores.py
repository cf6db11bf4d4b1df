"""Rows of a table of scores, by columns that have known names or are named by the user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from learner_ray.cohort.any_table import Table
from learner_ray.cohort.dates import Moment, read_dates
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import is_missing
from learner_ray.cohort.patients import check_spellings
from learner_ray.cohort.sources.importer import ImportOptions, LeftOut, ScoreRow
from learner_ray.cohort.sources.oxygen import sf_of_rows
from learner_ray.core.errors import UserError

SF = "sf"
"""What ``--score`` calls the S/F ratio that is made from saturation and oxygen."""

NAMES: Mapping[str, Sequence[str]] = {
    "patient": (
        "patient", "patient_id", "participant_id", "PTID", "OASISID", "subject_id", "subject",
        "PatientID", "subject_label",
    ),
    "visit": ("visit", "session_id", "VISCODE2", "VISCODE", "session", "visit_id"),
    "date": (
        "date", "EXAMDATE", "examination_date", "acq_time", "VISDATE", "visit_date", "datetime", "charttime",
        "acq_date", "study_date",
    ),
    "day": ("day", "days_to_visit", "MR Delay", "days"),
    "image": ("image", "IMAGEUID", "Image Data ID", "image_id"),
    "path": ("path", "file", "filename", "file_name", "image_path"),
    "view": ("view",), "site": ("site",), "device": ("device",),
    "age": ("age",), "sex": ("sex", "M/F", "PTGENDER"),
    "education_years": ("education_years", "EDUC", "PTEDUCAT"),
    "rating": ("rating",),
    "crop": ("crop",), "mask": ("mask",),
}  # fmt: skip
"""What tables call each role; the first that is there counts."""
ALIASES: Mapping[str, Sequence[str]] = {"mmse": ("MMSE", "MMSCORE", "MMS", "MMSE_total", "mmse_score")}
"""Further names of a score's column, by the score's name in lower case."""
PREFIX = "scores."
"""Begins a role in ``--columns`` that is meant for the table of scores alone."""
_JOINED_BY = ("patient", "visit", "date", "day", "image", "score")
ROLES = (*NAMES, "score")
"""What ``--columns`` can name."""


def read_scores(
    table: Table, options: ImportOptions, notes: list[str], left_out: list[LeftOut]
) -> list[ScoreRow]:
    """The rows of a table of scores.

    Args:
        table: is read already.
        options: says what its columns are called and which codes are missing scores.
        notes: what was recognised is added.
        left_out: rows that cannot be used, each with its reason, are added.

    Raises:
        UserError: a column is lacking, or cells cannot be read; all such rows are listed.
    """
    path = table.path
    notes += table.notes
    options = replace(options, columns=of_scores(options.columns))
    columns = roles_of(table, options)
    if "patient" not in columns:
        raise UserError(lacking(table, "patient"))
    if not columns.keys() & {"visit", "date", "day", "image"}:
        raise UserError(
            f"{path}, row 1: nothing says to which visit a score belongs (visit, date, day or image): it may "
            f"be a baseline value, which is no score of each visit; {_how(table, 'date')}"
        )
    values, more = score_cells(table, columns, options, notes, left_out)
    whens = moments_of(table, columns, options)
    used = [f"{role} is {columns[role]}" for role in _JOINED_BY if role in columns]
    notes.append(f"{path.name}: {', '.join(used)}")
    faults = Faults(str(path))
    check_spellings([(row, cells[columns["patient"]]) for row, cells in table.rows], faults)
    faults.raise_any()
    left_out += [
        LeftOut(path=f"{path}, row {row}", reason=f"{columns['patient']} is empty")
        for row, cells in table.rows
        if not cells[columns["patient"]]
    ]
    return [
        ScoreRow(
            table=path,
            row=row,
            patient=cells[columns["patient"]],
            visit=cells.get(columns.get("visit", ""), ""),
            image=cells.get(columns.get("image", ""), ""),
            when=whens.get(row),
            score=values[row],
            more=more.get(row, {}),
        )
        for row, cells in table.rows
        if row in values and cells[columns["patient"]]
    ]


def of_scores(columns: Mapping[str, str]) -> dict[str, str]:
    """What the table of scores calls its columns: ``scores.date`` counts there before ``date``."""
    plain = {role: name for role, name in columns.items() if not role.startswith(PREFIX)}
    return plain | {r.removeprefix(PREFIX): n for r, n in columns.items() if r.startswith(PREFIX)}


def roles_of(table: Table, options: ImportOptions) -> dict[str, str]:
    """The columns of a table by role: those that the user names, else those with a known name.

    Raises:
        UserError: a column that the user names is not there.
    """
    columns = {}
    for role, name in options.columns.items():
        column = table.column(name)
        if column is None:
            raise UserError(f"{table.path}, row 1: --columns {role}={name}: {_found(table)}")
        columns[role] = column
    known = {**NAMES, "score": score_names(options.score)}
    taken = set(columns.values())
    if options.score == SF:  # what the oxygen is given by is no scanner
        oxygen = (options.spo2, options.fio2, options.flow, options.device)
        taken |= {column for name in oxygen if name and (column := table.column(name))}
    for role, names in known.items():
        column = next((c for name in names if (c := table.column(name)) and c not in taken), None)
        if role not in columns and column is not None:
            columns[role] = column
            taken.add(column)
    return columns


def score_names(score: str) -> Sequence[str]:
    """The names that the column of a score may have, the likeliest first; none for one made from records."""
    return (score, *ALIASES.get(score.casefold(), ())) if score and score != SF else ()


def score_cells(
    table: Table,
    columns: Mapping[str, str],
    options: ImportOptions,
    notes: list[str],
    left_out: list[LeftOut],
) -> tuple[dict[int, float], dict[int, dict[str, str]]]:
    """The score of each row, NaN where it is missing, and further cells; a row that is left out has none.

    Raises:
        UserError: the column is not there, or cells are no numbers.
    """
    if options.score == SF:
        return sf_of_rows(table, options, notes, left_out)
    if "score" not in columns:
        raise UserError(
            lacking(table, "score") if options.score else f"{table.path}: name its score in --score"
        )
    faults = Faults(str(table.path))
    values = {}
    for row, cells in table.rows:
        text = cells[columns["score"]]
        value = math.nan if is_missing(text, options.missing) else table.number(text)
        if value is None:
            faults.add(
                row,
                f"{columns['score']} {text!r} is no number; correct it, or name the code of a missing "
                "score in --missing",
            )
        else:
            values[row] = value
    faults.raise_any()
    return values, {}


def moments_of(table: Table, columns: Mapping[str, str], options: ImportOptions) -> dict[int, Moment]:
    """When each row was, by its date, else by its day; rows without either are not in it.

    Raises:
        UserError: a cell is neither.
    """
    if "date" in columns:
        column = columns["date"]
        dated = [(row, c[column]) for row, c in table.rows if not is_missing(c[column], options.missing)]
        return read_dates(dated, f"{table.path}, column {column}", options.date_format)
    if "day" not in columns:
        return {}
    faults = Faults(str(table.path))
    found = {}
    for row, cells in table.rows:
        text = cells[columns["day"]]
        if is_missing(text, ()):
            continue
        day = table.number(text)
        if day is None:
            faults.add(row, f"{columns['day']} {text!r} is no number of days; write it as -5 or 12.5")
        else:
            found[row] = Moment(days=day, clock=True, dated=False)
    faults.raise_any()
    return found


def lacking(table: Table, role: str) -> str:
    """The message that a table has no column for a role."""
    return f"{table.path}, row 1: no column is known to hold the {role}; {_how(table, role)}"


def _how(table: Table, role: str) -> str:
    return f"name it in --columns {role}=NAME; {_found(table)}"


def _found(table: Table) -> str:
    shown = ", ".join(table.columns[:12])
    more = f" and {len(table.columns) - 12} more" if len(table.columns) > 12 else ""
    return f"found: {shown}{more}"
