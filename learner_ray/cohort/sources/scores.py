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
from learner_ray.cohort.sources.oxygen import lacking_oxygen, sf_of_rows
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
    _require_roles(table, columns, options)
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
        column = table.named(name)
        if column is None:
            raise UserError(f"{table.path}, row 1: --columns {role}={name}: no such column; {_found(table)}")
        columns[role] = column
    known = {**NAMES, "score": score_names(options.score)}
    taken = set(columns.values())
    if options.score == SF:  # what the oxygen is given by is no scanner
        oxygen = (options.spo2, options.fio2, options.flow, options.device)
        taken |= {column for name in oxygen if name and (column := table.named(name))}
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
        raise lacking(table, _lacks_score(options))
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


def _require_roles(table: Table, columns: Mapping[str, str], options: ImportOptions) -> None:
    """Refuses a table of scores that does not say whose they are, when they were taken, or what they are; the
    message lists all that it lacks."""
    lacks = [] if "patient" in columns else [lacks_column("patient")]
    if not columns.keys() & {"visit", "date", "day", "image"}:
        lacks.append(
            "nothing says to which visit a score belongs (visit, date, day or image): it may be a baseline "
            "value, which is no score of each visit; name it in --columns date=NAME"
        )
    if options.score == SF:
        lacks += lacking_oxygen(table, options)
    elif "score" not in columns:
        lacks += _lacks_score(options)
    if lacks:
        raise lacking(table, lacks)


def _lacks_score(options: ImportOptions) -> list[str]:
    return [
        lacks_column("score")
        if options.score
        else "what the score is called is not known; name it in --score"
    ]


def lacks_column(role: str) -> str:
    """The sentence that a table has no column for a role."""
    return f"no column is known to hold the {role}; name it in --columns {role}=NAME"


def lacking(table: Table, sentences: Sequence[str]) -> UserError:
    """The error that a table lacks columns, in one line where it is one."""
    if len(sentences) == 1:
        return UserError(f"{table.path}, row 1: {sentences[0]}; {_found(table)}")
    lines = [f"{table.path}, row 1:", *(f"  {sentence}" for sentence in sentences), f"  {_found(table)}"]
    return UserError("\n".join(lines))


def _found(table: Table) -> str:
    shown = ", ".join(table.columns[:12])
    more = f" and {len(table.columns) - 12} more" if len(table.columns) > 12 else ""
    return f"found: {shown}{more}"
