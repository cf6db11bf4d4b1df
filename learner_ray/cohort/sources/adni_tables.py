"""The tables of ADNI: scores by visit, and what the search page of LONI says of each image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from learner_ray.cohort.any_table import Table, open_table, tables_among
from learner_ray.cohort.dates import Moment
from learner_ray.cohort.sources.importer import ImportOptions, LeftOut, ScoreRow
from learner_ray.cohort.sources.scores import read_scores
from learner_ray.core.errors import UserError

PATIENT = re.compile(r"\d{3}_S_(\d{4,5})")
"""A patient's id (PTID), which ends with the number by which some tables know the patient (RID)."""
MISSING = ("-1", "-4")
"""Codes of a missing value in the tables of ADNI."""
_BASELINE = {"sc", "scmri", "f", "bl"}
"""Codes of visits of which an image counts as that of month 0."""
_SEARCH_VISITS = (
    (re.compile(r"month (\d+)", re.I), "m{:02d}", 1),
    (re.compile(r"year (\d+)", re.I), "m{:02d}", 12),
)


@dataclass(frozen=True, kw_only=True)
class AdniTables:
    """What the tables say, by image and by patient."""

    scores: list[ScoreRow]
    """Scores with the patient as PTID and the visit as ``m06``."""
    days: Mapping[tuple[str, float], str] = field(default_factory=dict)
    """Visit of the first score of a patient on a day, by PTID and day."""
    visits: Mapping[str, str] = field(default_factory=dict)
    """Visit of an image, by its id."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Field strength in tesla of an image, ``1.5`` or ``3``, by its id."""
    cohorts: Mapping[str, str] = field(default_factory=dict)
    """Part of the study that a patient entered, such as ADNI1, by PTID."""

    def visit(self, image: str, patient: str, when: Moment) -> str:
        """The visit of an image: as a table says, else that of a score of its very day; empty if unknown."""
        return self.visits.get(image, self.days.get((patient, when.days // 1), ""))

    def field(self, image: str) -> str:
        """The field strength at which an image was taken; empty if unknown."""
        return self.fields.get(image, "")

    def cohort_of(self, patient: str) -> str:
        """The part of the study that a patient entered; empty if unknown."""
        return self.cohorts.get(patient, "")


def read_tables(
    path: Path, tree: Path, options: ImportOptions, notes: list[str], left_out: list[LeftOut]
) -> AdniTables:
    """Reads the scores, and what else lies beside the images.

    Args:
        path: what the user named.
        tree: the folder of the patients' folders.
        options: may name the table of scores.
        notes: what was read is added.
        left_out: rows that cannot be used are added.

    Raises:
        UserError: there is no table of scores, or several, or one is faulty.
    """
    passed_over: list[str] = []
    tables = [table for table in _beside(path, tree, passed_over) if _is_scores(table) or _is_search(table)]
    table = (
        open_table(options.scores)
        if options.scores
        else _only_one([table for table in tables if _is_scores(table)], path, passed_over)
    )
    notes += passed_over
    options = replace(options, score=options.score or "MMSE", missing=(*options.missing, *MISSING))
    options = replace(options, columns=_columns(table, options))
    rows = read_scores(table, options, notes, left_out)
    ptids = {str(int(name[1])): name[0] for p in tree.iterdir() if (name := PATIENT.fullmatch(p.name))}
    named = [
        replace(row, patient=ptids.get(row.patient, row.patient), visit=_visit(row.visit)) for row in rows
    ]
    dated = [(row.patient, row.when.days // 1, row.visit) for row in named if row.when and row.when.dated]
    notes.append(f"missing codes of {table.path.name}: {', '.join(MISSING)}")
    search = next((table for table in tables if _is_search(table)), None)
    visits, fields = _images(table), _fields(table)
    if search is not None:
        visits |= _searched(search, notes)
    days = {(patient, day): visit for patient, day, visit in reversed(dated)}
    return AdniTables(scores=named, days=days, visits=visits, fields=fields, cohorts=_cohorts(table))


def _columns(table: Table, options: ImportOptions) -> dict[str, str]:
    """The columns that ADNI calls otherwise than most: RID for the patient where there is no PTID."""
    columns = dict(options.columns)
    for role, names in (("patient", ("PTID", "RID")), ("date", ("EXAMDATE", "VISDATE", "USERDATE"))):
        named = next((name for name in names if table.column(name)), None)
        if named:
            columns.setdefault(role, named)
    return columns


def _beside(path: Path, tree: Path, passed_over: list[str]) -> Iterator[Table]:
    folders = {folder.resolve() for folder in (path, tree, tree.parent)}
    return tables_among((p for folder in folders for p in folder.iterdir()), passed_over)


def _is_scores(table: Table) -> bool:
    return bool(table.column("RID")) and any(table.column(name) for name in ("MMSE", "MMSCORE"))


def _is_search(table: Table) -> bool:
    return bool(table.column("Image Data ID") and table.column("Subject"))


def _only_one(found: list[Table], path: Path, passed_over: Sequence[str]) -> Table:
    merged = [table for table in found if "adnimerge" in table.path.name.lower()]
    if len(merged or found) != 1:
        names = " and ".join(table.path.name for table in merged or found)
        what = (
            f"{names}: it is not clear which one has the scores" if names else "no ADNIMERGE.csv or MMSE.csv"
        )
        raise UserError("\n".join([f"{path} holds {what}; name the table in --scores", *passed_over]))
    return (merged or found)[0]


def _visit(code: str) -> str:
    """The month of a visit's code: sc, scmri, f and bl are month 0. Empty for v02 and y1, which count no
    months: what month they are depends on when the patient entered."""
    text = code.strip().casefold()
    return "m00" if text in _BASELINE else text if re.fullmatch(r"m\d+", text) else ""


def _images(table: Table) -> dict[str, str]:
    image, visit = table.column("IMAGEUID"), table.column("VISCODE2") or table.column("VISCODE")
    if not image or not visit:
        return {}
    return {_uid(cells[image]): _visit(cells[visit]) for _, cells in table.rows if cells[image]}


def _fields(table: Table) -> dict[str, str]:
    image, strength = table.column("IMAGEUID"), table.column("FLDSTRENG")
    if not image or not strength:
        return {}
    found = ((_uid(cells[image]), re.match(r"\d+(\.\d+)?", cells[strength])) for _, cells in table.rows)
    return {uid: f"{float(number[0]):g}" for uid, number in found if uid and number}


def _cohorts(table: Table) -> dict[str, str]:
    patient, cohort = table.column("PTID"), table.column("ORIGPROT")
    return {cells[patient]: cells[cohort] for _, cells in table.rows} if patient and cohort else {}


def _uid(text: str) -> str:
    return text.removeprefix("I").removesuffix(".0")


def _searched(table: Table, notes: list[str]) -> dict[str, str]:
    """Visits by image of the table that LONI's search page hands out."""
    image, visit = table.column("Image Data ID"), table.column("Visit")
    if not image or not visit:
        return {}
    notes.append(f"visits of images: {table.path.name}")
    found = {_uid(cells[image]): _search_visit(cells[visit]) for _, cells in table.rows}
    return {uid: code for uid, code in found.items() if code}


def _search_visit(text: str) -> str:
    """The month of a visit as LONI's search page words it; empty where it names none, such as a visit year of
    ADNI3 of patients who entered before."""
    if re.fullmatch(r"(ADNI\d?(/GO)? )?(screening.*|baseline.*)", text.strip(), re.I):
        return "m00"
    if code := _visit(text):
        return code
    for written, form, months in _SEARCH_VISITS:
        if (number := written.search(text)) and not re.match(r"ADNI[2-9]", text):
            return form.format(int(number[1]) * months)
    return ""
