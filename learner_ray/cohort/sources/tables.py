"""What several sources share: tables read as text, and what is wrong in them by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from learner_ray.cohort.any_table import open_table
from learner_ray.cohort.cohort import Scan
from learner_ray.cohort.covariates import Covariates, read_covariates
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import is_missing
from learner_ray.cohort.score import Score
from learner_ray.core.errors import UserError

FIRST_ROW = 2
"""The row of a table that is under the column names, as a spreadsheet counts."""


def read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """A table as text, its empty cells as empty text.

    Args:
        needed: columns that it must have.

    Raises:
        UserError: it cannot be read, or lacks a column.
    """
    found = open_table(path)
    table = pd.DataFrame(
        [[found.decimal_point(cells[column]) for column in found.columns] for _, cells in found.rows],
        columns=[*found.columns],
        dtype=str,
    )
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise UserError(f"{path}, row 1: no column {', '.join(missing)}; use the table as distributed")
    return table


def numbers(cells: pd.Series[str], score: Score, missing: Sequence[str], faults: Faults) -> list[float]:
    """A column of scores; cells that hold none, or a code of ``missing``, are NaN. Adds a fault for every
    other cell that is no number in the score's range."""
    absent = cells.map(lambda cell: is_missing(cell, missing)).astype(bool)
    numbers = pd.to_numeric(cells, errors="coerce").mask(absent)
    for row in cells.index[~absent & ~numbers.between(score.low, score.high)]:
        faults.add(
            int(row) + FIRST_ROW,
            f"{cells.name} {cells[row]!s} is no number of {score.low:g} to {score.high:g}; correct it, or "
            "name the code of a missing score in --missing",
        )
    return [float(number) for number in numbers]


def covariates_of(
    table: pd.DataFrame, columns: Mapping[str, Sequence[str]]
) -> tuple[list[Covariates], list[str]]:
    """The covariates of every row of a table, and notes about cells that cannot be read.

    Args:
        table: as :func:`read_table` gives it.
        columns: the names that a covariate may have in the table; the first that is there counts.
    """
    named = {name: next((c for c in among if c in table), "") for name, among in columns.items()}
    named = {name: column for name, column in named.items() if column}
    cells = table[[*named.values()]].to_dict("records")
    rows = [(number, {str(c): str(v) for c, v in row.items()}) for number, row in enumerate(cells, FIRST_ROW)]
    found, notes = read_covariates(rows, named)
    return [found[number] for number, _ in rows], notes


def check_unique(names: pd.Series[str], faults: Faults) -> None:
    """Adds a fault for every row whose name an earlier row has."""
    first: dict[str, int] = {}
    for row, name in names.items():
        before = first.setdefault(name, int(str(row)))
        if before != row:
            faults.add(
                int(str(row)) + FIRST_ROW,
                f"{name} is listed twice, first in row {before + FIRST_ROW}; list it once",
            )


def check_patients(folder: Path, scans: list[Scan], notes: list[str]) -> None:
    """Refuses a folder without two patients to compare.

    Raises:
        UserError: fewer than two patients have usable scans; the notes say what became of the others.
    """
    if len({scan.patient for scan in scans}) < 2:
        raise UserError(f"{folder}: fewer than two patients have usable scans ({'; '.join(notes)})")


def visible(folder: Path) -> list[Path]:
    """The files and folders of a folder that are not hidden, by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def left_out(count: int, of: int, what: str) -> list[str]:
    """A note of how many of something were left out; none where none was."""
    return [f"{count} of {of} {what}"] if count else []
