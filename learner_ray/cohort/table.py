"""A manifest as a table of text: its columns, and the cells of each row."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cohort.faults import Faults
from learner_ray.core.errors import UserError

SUFFIXES = (".csv", ".tsv")

Line = tuple[int, dict[str, str]]
"""Number of a row in the file, from 1, and its cells by column."""


def read_lines(path: Path, faults: Faults) -> tuple[list[str], list[Line]]:
    """Reads a table: its column names in lower case, and its rows but for empty ones. Cells that a short row
    lacks are empty.

    Raises:
        UserError: the file is not a table in UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            columns = [name.strip().casefold() for name in next(reader, [])]
            lines = []
            for cells in reader:
                if any(cells[len(columns) :]):
                    faults.add(
                        reader.line_num,
                        f"{len(cells)} cells under {len(columns)} column names; put cells that contain "
                        f"{delimiter!r} in quotes",
                    )
                elif any(cell.strip() for cell in cells):
                    padded = [*cells, *[""] * len(columns)]
                    lines.append((reader.line_num, dict(zip(columns, padded, strict=False))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as UTF-8 CSV: {error}") from error
    return columns, lines


def check_unique_columns(path: Path, columns: Sequence[str], ours: Sequence[str]) -> None:
    """Refuses a table in which one of our columns occurs twice.

    Raises:
        UserError: a column does.
    """
    twice = sorted({c for c in columns if columns.count(c) > 1 and c in ours})
    if twice:
        raise UserError(f"{path}, row 1: column {', '.join(twice)} occurs twice; keep one")
