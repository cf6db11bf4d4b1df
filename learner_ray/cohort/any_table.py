"""Tables as researchers have them, read as text: CSV and TSV in any usual encoding, and workbooks of Excel.

Nothing is converted but what cannot be otherwise: a cell of a workbook that is a date becomes ISO 8601, and a
whole number loses the ``.0`` that a spreadsheet appends.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from learner_ray.core.errors import UserError

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")
"""Ends of the names of files that may be tables."""
_DELIMITERS = ",;\t|"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_UNIT = re.compile(r"\s*[(\[][^()\[\]]*[)\]]$")
"""What stands in brackets after a name, such as a unit."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as text."""

    path: Path
    """The file."""
    columns: tuple[str, ...]
    """Names of its columns, as written, without space around them."""
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    """Line in the file, from 1, and cells by column of every row that is not empty."""
    delimiter: str = ""
    """What separates cells; empty for a workbook."""
    notes: tuple[str, ...] = ()
    """What had to be guessed to read it."""

    def column(self, name: str) -> str | None:
        """A column as the table writes it, by its very name, else by one in any case and with any separators;
        None if absent."""
        if name in self.columns:
            return name
        wanted = _folded(name)
        return next((column for column in self.columns if _folded(column) == wanted), None)

    def named(self, name: str) -> str | None:
        """A column that the user names, as :meth:`column` finds it, else the only one that has this name
        before a unit in brackets: ``SpO2`` is ``SpO2 (%)``. Not for names that are guessed: ``date (birth)``
        is no date of a visit."""
        bare = [column for column in self.columns if _folded(_UNIT.sub("", column)) == _folded(name)]
        return self.column(name) or (bare[0] if len(bare) == 1 else None)

    def number(self, text: str) -> float | None:
        """The number in a cell, with a decimal point or comma; None where there is none, or where a comma may
        as well separate thousands."""
        text = text.strip().replace("\u2212", "-")
        if _COMMA.fullmatch(text) and (self.delimiter == ";" or not _THOUSANDS.fullmatch(text)):
            text = text.replace(",", ".")
        return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII) else None

    def decimal_point(self, cell: str) -> str:
        """A cell, a number of which has a decimal point where the table has commas."""
        return cell.replace(",", ".") if "," in cell and self.number(cell) is not None else cell


def open_table(path: Path) -> Table:
    """Reads a table.

    Raises:
        UserError: it cannot be read, a column has no name of its own, or a row has more cells than there are
            columns.
    """
    if path.suffix.lower() == ".xls":
        raise UserError(f"{path} is a workbook of an old kind: save it as .xlsx or .csv")
    notes: list[str] = []
    delimiter = ""
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        lines = list(_sheet(path, notes))
    else:
        text = _text(path, notes)
        delimiter = _delimiter(text)
        lines = list(_lines(path, text, delimiter))
    columns, rows = _rows(path, lines)
    return Table(path=path, columns=columns, rows=rows, delimiter=delimiter, notes=tuple(notes))


def tables_among(paths: Iterable[Path], passed_over: list[str]) -> Iterator[Table]:
    """The tables among files, by path. What cannot be read as one, such as a README.txt with commas, is
    passed over, since nobody called it a table; why is added to ``passed_over``."""
    for path in sorted(paths):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            try:
                yield open_table(path)
            except UserError as error:
                passed_over.append(f"passed over: {error}")


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _text(path: Path, notes: list[str]) -> str:
    """The decoded text of a file, line ends as ``\\n``; a guess is noted."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read as a table: {error.strerror}") from error
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content[:200]:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise UserError(f"{path} cannot be read as a table: damaged {encoding}; save it anew") from error
        # Windows-1252 leaves five bytes undefined, Latin-1 none.
        try:
            text, encoding = content.decode("cp1252"), "Windows-1252"
        except UnicodeDecodeError:
            text, encoding = content.decode("latin-1"), "Latin-1"
        notes.append(f"{path.name} is not UTF-8: read as {encoding}")
    if "\0" in text:
        raise UserError(f"{path} cannot be read as a table: it is no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(text: str) -> str:
    """The sign that separates the column names: the most frequent outside quotes in the first line."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=bare.count)


def _lines(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{path}, row {reader.line_num}: cannot be read as a table: {error}") from error


def _sheet(path: Path, notes: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a workbook's first sheet that holds any."""
    try:
        import openpyxl

        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [(sheet.title, list(sheet.iter_rows(values_only=True))) for sheet in book.worksheets]
        book.close()
    except Exception as error:  # openpyxl has no base class for what a damaged file raises
        raise UserError(f"{path} cannot be read as a table: {error}") from error
    filled = [(name, rows) for name, rows in sheets if any(any(c is not None for c in row) for row in rows)]
    if len(filled) > 1:
        others = ", ".join(name for name, _ in filled[1:])
        notes.append(f"{path.name}: the sheet {filled[0][0]!r} was read, and not {others}")
    for number, row in enumerate(filled[0][1] if filled else (), 1):
        yield number, [_cell(value) for value in row]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        midnight = not (value.hour or value.minute or value.second or value.microsecond)
        return value.date().isoformat() if midnight else value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _rows(
    path: Path, lines: Sequence[tuple[int, list[str]]]
) -> tuple[tuple[str, ...], tuple[tuple[int, Mapping[str, str]], ...]]:
    """Column names and rows, of lines of which those without any text are left out."""
    filled = [(number, cells) for number, cells in lines if any(cell.strip() for cell in cells)]
    if not filled:
        raise UserError(f"{path} cannot be read as a table: it is empty")
    (head, names), *body = filled
    while names and not names[-1].strip():  # a spreadsheet that once had more columns
        names = names[:-1]
    columns = tuple(name.strip() for name in names)
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise UserError(f"{path}, row {head}: column {', '.join(twice)} occurs twice; keep one")
    rows = []
    for number, cells in body:
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise UserError(
                f"{path}, row {number}: {len(cells)} cells under {len(columns)} column names; put cells that "
                "contain the separator in quotes"
            )
        padded = [*cells, *[""] * len(columns)]
        rows.append((number, {name: cell.strip() for name, cell in zip(columns, padded, strict=False)}))
    return columns, tuple(rows)
