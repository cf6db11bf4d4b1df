"""Cohorts listed in a CSV or TSV file, one row per scan.

Columns: ``path`` (relative to the manifest's folder, or absolute), ``patient``, ``score``, and ``visit`` or
``date`` or both; optionally ``view``, ``site``, ``device``. Others are ignored, and a note says so.

A visit label is sorted by the one number in it ("2", "V2", "m06"; "bl" and "baseline" are 0). A date is
ISO 8601, with a time where one day has several visits; it then gives order and interval, and without a
``visit`` column visits are called 1, 2, ... in order of their dates, so that no date leaves this file.
What holds for the whole cohort stands in the sidecar, see ``learner_ray.cohort.sidecar``.
"""

from __future__ import annotations

import csv
import math
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.score import Score
from learner_ray.cohort.sidecar import read_sidecar
from learner_ray.errors import UserError

REQUIRED = ("path", "patient", "score")
OPTIONAL = ("visit", "date", "view", "site", "device")
SUFFIXES = (".csv", ".tsv")
_BASELINE = ("bl", "baseline")
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class _Row:
    """One line of the manifest, parsed."""

    line: int
    scan: str
    file: str
    patient: str
    visit: str
    moment: float
    """Days for a date, else the number of the visit."""
    score: float
    view: str
    site: str
    device: str


def read_manifest(path: Path, *, modality: str) -> Cohort:
    """The cohort that a manifest lists.

    Args:
        path: a ``.csv`` or ``.tsv`` file.
        modality: decides the score where no sidecar states one.

    Raises:
        UserError: the manifest is faulty. All faults found are listed, with their rows.
    """
    sidecar = read_sidecar(path, modality=modality)
    faults = Faults(str(path))
    columns, lines = _read_lines(path, faults)
    rows = _read_rows(path, columns, lines, faults)
    _check_scores(rows, sidecar.score, faults)
    if lines and len({row.patient for row in rows}) == 1 and not faults:
        faults.add(0, "lists one patient only; the question is put across patients, so list several")
    faults.raise_any()
    unused = [c for c in columns if c not in REQUIRED + OPTIONAL]
    return Cohort(
        name=sidecar.name,
        modality=sidecar.modality,
        score=sidecar.score,
        scans=scan_table(_scans(path, rows, dated="date" in columns, named="visit" in columns)),
        temporal=sidecar.temporal,
        phantom=sidecar.phantom,
        notes=(f"columns not used: {', '.join(unused)}",) if unused else (),
    )


def read_unscored(path: Path) -> pd.DataFrame:
    """The scans that a manifest lists, whether it has scores or not: they are not read.

    Returns:
        one row per scan, with the columns of ``Scan``; ``score`` is NaN.

    Raises:
        UserError: the manifest is faulty. All faults found are listed, with their rows.
    """
    faults = Faults(str(path))
    found, lines = _read_lines(path, faults)
    columns = [*(name for name in found if name != "score"), "score"]
    rows = _read_rows(path, columns, [(line, {**cells, "score": "0"}) for line, cells in lines], faults)
    faults.raise_any()
    scans = _scans(path, rows, dated="date" in columns, named="visit" in columns)
    return scan_table(scans).assign(score=math.nan)


def _read_rows(
    path: Path, columns: list[str], lines: list[tuple[int, dict[str, str]]], faults: Faults
) -> list[_Row]:
    """The rows that can be read, checked against each other."""
    _check_columns(path, columns)
    rows = [row for line in lines if (row := _parse(path, *line, faults)) is not None]
    _check_spellings([(number, cells["patient"]) for number, cells in lines], faults)
    _check_repeats(rows, faults)
    _check_visits(rows, faults)
    if not lines:
        faults.add(0, "lists no scan")
    return rows


def _read_lines(path: Path, faults: Faults) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and each row's line number and cells; a short row's last cells are empty."""
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


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if "visit" not in columns and "date" not in columns:
        missing.append("visit or date")
    if missing:
        raise UserError(
            f"{path}, row 1: no column {', '.join(missing)}; found: {', '.join(columns) or 'none'}"
        )
    twice = sorted({c for c in columns if columns.count(c) > 1 and c in REQUIRED + OPTIONAL})
    if twice:
        raise UserError(f"{path}, row 1: column {', '.join(twice)} occurs twice; keep one")


def _parse(path: Path, line: int, cells: dict[str, str], faults: Faults) -> _Row | None:
    """A row whose cells can all be read; what is wrong with any of them is noted."""
    values = {name: cells.get(name, "").strip() for name in REQUIRED + OPTIONAL}
    wrong = [f"{name} is empty; fill it in" for name in REQUIRED if not values[name]]
    file = os.path.abspath(path.parent / values["path"])
    if values["path"] and not os.path.isfile(file):
        kind = "is a folder; list its files" if os.path.isdir(file) else "does not exist; mend the path"
        wrong.append(f"{values['path']} {kind}")
    score = _number(values["score"])
    if values["score"] and score is None:
        hint = ", with a decimal point" if "," in values["score"] else "; remove rows without a score"
        wrong.append(f"score {values['score']!r} is not a number: write it as one{hint}")
    moment = _moment(values, cells, wrong)
    for fault in wrong:
        faults.add(line, fault)
    if wrong or score is None or moment is None:
        return None
    scan = Path(os.path.relpath(file, path.parent.absolute())).as_posix()
    described = (values["view"], values["site"], values["device"])
    return _Row(line, scan, file, values["patient"], values["visit"], moment, score, *described)


def _moment(values: dict[str, str], cells: dict[str, str], wrong: list[str]) -> float | None:
    """When a row's visit was, or its number."""
    for name in ("visit", "date"):
        if name in cells and not values[name]:
            wrong.append(f"{name} is empty; fill it in, or give no {name} column")
            return None
    if "date" in cells:
        when = _date(values["date"])
        if when is None:
            wrong.append(f"date {values['date']!r} is not written as 2024-01-31 or 2024-01-31T08:30")
            return None
        return (when - datetime.min).total_seconds() / _SECONDS_PER_DAY
    numbers = re.findall(r"\d+(?:\.\d+)?", values["visit"])
    if values["visit"].casefold() in _BASELINE:
        return 0.0
    if len(numbers) != 1:
        wrong.append(f"visit {values['visit']!r} has no one number to sort by: number it, or add dates")
        return None
    return float(numbers[0])


def _date(text: str) -> datetime | None:
    # The pattern first: what else fromisoformat reads depends on the version of Python.
    if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", text, re.ASCII):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _check_spellings(patients: Iterable[tuple[int, str]], faults: Faults) -> None:
    """One patient under two spellings would sit on both sides of a split. Told once per spelling."""
    spellings: dict[str, dict[str, int]] = defaultdict(dict)
    for line, spelling in patients:
        folded = unicodedata.normalize("NFKC", spelling).strip().casefold()
        spellings[re.sub(r"\d+", lambda digits: str(int(digits[0])), folded)].setdefault(spelling, line)
    for key, lines in spellings.items():
        (first, before), *others = lines.items()
        for spelling, line in others if key else ():
            faults.add(
                line,
                f"patient {spelling!r} and {first!r} in row {before} look like one; spell one patient one "
                "way, and make the ids of two differ in more than case, spaces and leading zeros",
            )


def _check_repeats(rows: list[_Row], faults: Faults) -> None:
    first: dict[str, int] = {}
    for row in rows:
        before = first.setdefault(os.path.realpath(row.file), row.line)
        if before != row.line:
            faults.add(row.line, f"{row.scan} is the file of row {before}; list each file once")


def _check_visits(rows: list[_Row], faults: Faults) -> None:
    """A visit has one moment and one score, and no other visit of the patient has that moment."""
    by_visit: dict[tuple[str, str | float], _Row] = {}
    by_moment: dict[tuple[str, float], _Row] = {}
    for row in rows:
        visit = by_visit.setdefault((row.patient, row.visit or row.moment), row)
        if visit.score != row.score:
            faults.add(
                row.line,
                f"score {row.score:g} differs from {visit.score:g} in row {visit.line}, the same visit; "
                "give a visit one score",
            )
        if visit.moment != row.moment:
            faults.add(row.line, f"date differs from that of row {visit.line}, the same visit; give it one")
            continue
        other = by_moment.setdefault((row.patient, row.moment), row)
        if other.visit != row.visit:
            faults.add(
                row.line,
                f"visits {row.visit!r} and {other.visit!r} (row {other.line}) of one patient sort alike; "
                "give them different numbers or dates, or one name",
            )


def _check_scores(rows: list[_Row], score: Score, faults: Faults) -> None:
    for row in rows:
        if not score.low <= row.score <= score.high:
            faults.add(
                row.line,
                f"score {row.score:g} is outside {score.low:g} to {score.high:g}, the range of {score.name}; "
                "correct it, or state the score in the sidecar",
            )


def _scans(path: Path, rows: list[_Row], *, dated: bool, named: bool) -> list[Scan]:
    moments: dict[str, set[float]] = defaultdict(set)
    for row in rows:
        moments[row.patient].add(row.moment)
    ranks = {p: {m: float(i) for i, m in enumerate(sorted(of), 1)} for p, of in moments.items()}
    return [
        Scan(
            scan=row.scan,
            files=(row.file,),
            patient=row.patient,
            visit=row.visit if named else f"{ranks[row.patient][row.moment]:.0f}",
            order=ranks[row.patient][row.moment] if dated else row.moment,
            day=row.moment - min(moments[row.patient]) if dated else math.nan,
            score=row.score,
            view=row.view,
            site=row.site,
            device=row.device,
            source=str(path),
            row=row.line,
        )
        for row in rows
    ]
