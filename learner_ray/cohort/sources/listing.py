"""Any table that lists scans, one row each: CSV, TSV or a workbook, in any usual encoding."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from learner_ray.cohort.any_table import SUFFIXES, Table, open_table
from learner_ray.cohort.sources.importer import (
    RULES,
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    LeftOut,
    Progress,
    ScoreRow,
)
from learner_ray.cohort.sources.scores import (
    PREFIX,
    lacking,
    lacks_column,
    moments_of,
    read_scores,
    roles_of,
    score_cells,
)
from learner_ray.core.errors import UserError

_TEXTS, _NUMBERS = ("view", "site", "device", "sex", "crop"), ("age", "education_years", "rating")


class Listing(Importer):
    """A table with a row per scan; the scores stand in it, or in another table."""

    name = "table"
    needs = "a table (.csv, .tsv, .xlsx) with a row per scan: its file, patient, and date, day or visit"

    def evidence(self, path: Path) -> Evidence | None:
        if not (path.is_file() and path.suffix.lower() in SUFFIXES):
            return None
        return Evidence(sure="certain", because="it is a table")

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        table = open_table(path)
        notes, left_out = list(table.notes), list[LeftOut]()
        other = open_table(options.scores) if options.scores else None
        own, of_scores = (options, options) if other is None else _shared_out(table, other, options)
        columns = roles_of(table, own)
        lacks = [role for role in ("path", "patient") if role not in columns]
        lacks += [] if columns.keys() & {"visit", "date", "day"} else ["date"]
        if lacks:
            raise lacking(table, [lacks_column(role) for role in lacks])
        notes.append(f"{path.name}: " + ", ".join(f"{role} is {name}" for role, name in columns.items()))
        whens = moments_of(table, columns, options)
        scans = {}
        for row, cells in table.rows:
            progress(row, "rows")
            file = _beside(path, cells[columns["path"]])
            mask = cells.get(columns.get("mask", ""), "")
            wrong = _unusable(cells[columns["path"]], cells[columns["patient"]], file)
            if wrong:
                left_out.append(
                    LeftOut(path=f"{path}, row {row}", patient=cells[columns["patient"]], reason=wrong)
                )
                continue
            scans[row] = FoundScan(
                path=file,
                files=(Path(glob.escape(str(file))) / "*",) if file.is_dir() else (),
                mask=_beside(path, mask) if mask else None,
                patient=cells[columns["patient"]],
                visit=cells.get(columns.get("visit", ""), ""),
                when=whens.get(row),
                image=cells.get(columns.get("image", ""), "") if other else f"row {row}",
                more={role: cells[columns[role]] for role in _TEXTS if role in columns}
                | {role: table.decimal_point(cells[columns[role]]) for role in _NUMBERS if role in columns},
            )
        if other is not None:
            scores = read_scores(other, of_scores, notes, left_out)
        else:
            values, more = score_cells(table, columns, own, notes, left_out)
            scores = [
                _own(table, row, scan, values[row], more) for row, scan in scans.items() if row in values
            ]
        # A score in the scan's own row is that of no other, however near.
        rules = ("scan",) if other is None else RULES
        return Found(scans=[*scans.values()], scores=scores, left_out=left_out, notes=notes, rules=rules)


def _shared_out(table: Table, scores: Table, options: ImportOptions) -> tuple[ImportOptions, ImportOptions]:
    """The options for the table of scans and for that of scores: a column that the user names may be in
    either.

    Raises:
        UserError: one is in neither.
    """
    plain = {role: name for role, name in options.columns.items() if not role.startswith(PREFIX)}
    own = {role: name for role, name in plain.items() if table.named(name)}
    theirs = {role: name for role, name in plain.items() if scores.named(name)}
    absent = [f"{role}={name}" for role, name in plain.items() if role not in own and role not in theirs]
    if absent:
        raise UserError(f"--columns {absent[0]}: neither {table.path} nor {scores.path} has such a column")
    prefixed = {role: name for role, name in options.columns.items() if role.startswith(PREFIX)}
    return replace(options, columns=own, score=""), replace(options, columns=theirs | prefixed)


def _own(
    table: Table, row: int, scan: FoundScan, value: float, more: Mapping[int, Mapping[str, str]]
) -> ScoreRow:
    """The score that stands in a scan's own row."""
    return ScoreRow(
        table=table.path,
        row=row,
        patient=scan.patient,
        image=scan.image,
        when=scan.when,
        score=value,
        more=more.get(row, {}),
    )


def _beside(table: Path, written: str) -> Path:
    """The absolute path of a file that a table names, by its own folder."""
    return Path(os.path.abspath(table.parent / written.replace("\\", "/")))


def _unusable(written: str, patient: str, file: Path) -> str:
    """Why a row cannot be used; empty where it can."""
    if not written or not patient:
        return f"{'patient' if written else 'path'} is empty"
    return "" if file.exists() else f"{written} does not exist"
