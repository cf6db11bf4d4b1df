"""A report that may be handed out: no frame of a scan, no id of a patient, no folder of this machine.

The full report has rows of single patients, by number, and may show frames of scans. Here all that is of
single patients or scans is left out; counts and statistics stay. The page, the numbers as CSV and a statement
of what the folder holds are written, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.page.page import Report, html
from analysis.results.study import StudyResults
from analysis.tables.spreadsheet import csv

STATEMENT = "WHAT-IS-IN-IT.txt"
PERSONAL = {"patient", "pair", "scan", "visit"}
"""Columns by which rows tell who they are about."""
_FOLDERS = re.compile(r"""(?<![^\s"'(=;,])(?:[A-Za-z]:)?(?:~|\.\.?)?/(?:[^/\s"'<>&;,()]+/)+""")


def shareable_study(study: StudyResults) -> StudyResults:
    """Take from a study's record the sentences that may name scans, patients or files: of those about what
    was left out the number stays, of errors the kind.
    """
    info = _shareable(study.info)
    if isinstance(study.info.get("external"), Mapping):
        info["external"] = _shareable(study.info["external"])
    return replace(study, info=info, trials=_kinds(study.trials), finals=_kinds(study.finals))


def _shareable(info: Mapping[str, Any]) -> dict[str, Any]:
    left_out = info.get("left_out")
    if not left_out:
        return dict(info)
    count = "1 note" if len(left_out) == 1 else f"{len(left_out)} notes"
    return {**info, "left_out": [f"{count} in the results folder, not handed out"]}


def _kinds(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of whose errors the kind alone is said, as in ``RuntimeError``."""
    if "error" not in runs:
        return runs
    errors = runs["error"].fillna("").astype(str)
    kinds = errors.str.extract(r"^(\w+)(?::|$)", expand=False).fillna("reason not handed out")
    return runs.assign(error=kinds.where(errors != "", ""))


def shareable(report: Report) -> Report:
    """Leave out pictures of scans, tables and figures of single patients, and such columns of others."""
    tables = [table for table in report.tables if not PERSONAL & {*table.data.columns}]
    drawings = [
        replace(drawing, data=drawing.data.drop(columns=[*PERSONAL & {*drawing.data.columns}]))
        for drawing in report.drawings
        if not drawing.of_single_patients
    ]
    return replace(report, tables=tables, drawings=drawings, shows_scans=False)


def without_folders(text: str) -> str:
    """Shorten every path of a file in a text to the file's name, and that of a folder to its own."""
    return _FOLDERS.sub(".../", text)


def write_shared(report: Report, out: Path) -> None:
    """Write OUT/index.html, OUT/tables/*.csv, OUT/figures/*.csv and OUT/WHAT-IS-IN-IT.txt of a report that is
    shareable.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "index.html").write_text(without_folders(html(report)), encoding="utf-8")
    tables = [*report.tables, *(checklist.table for checklist in report.checklists)]
    for folder, named in (("tables", tables), ("figures", report.drawings)):
        (out / folder).mkdir(exist_ok=True)
        for item in named:
            text = without_folders(csv(item.data))
            (out / folder / f"{item.name}.csv").write_text(text, encoding="utf-8")
    (out / STATEMENT).write_text(statement(report), encoding="utf-8")


def statement(report: Report) -> str:
    """What a folder that is handed out holds, and what it does not, in words for who receives it."""
    studies = ", ".join(f"{item.study.title} ({_size(item.study)})" for item in report.statistics)
    return "\n".join(
        [
            f"Report of {studies}.",
            "",
            "index.html        verdicts, tables and figures as one page; it loads nothing from anywhere",
            "tables/*.csv      the numbers of the tables",
            "figures/*.csv     the numbers of the figures",
            "",
            "All numbers are of groups: arms, folds, runs, subgroups; counts of patients and pairs; and",
            "names: of the cohort, and of sites and devices where the study compares them. There is no",
            "row, point or picture of a single patient or scan, no id, pseudonym, date of a visit, file name",
            "or folder, and of what failed the kind of the error alone.",
            "",
            "Small counts can still single somebody out to who knows the cohort: look at the tables of",
            "subgroups before you hand this out.",
            "",
        ]
    )


def _size(study: StudyResults) -> str:
    patients, kind = study.ledger["patient"].nunique(), "phantom " if study.info.get("phantom") else ""
    return f"{patients} {kind}patients"
