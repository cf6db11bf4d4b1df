"""The patient of a DICOM file, by its tags or its path."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cohort.any_table import open_table
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.sources.dicom_files import DicomFile
from learner_ray.core.errors import UserError

_OF_A_ROW = re.compile(r", row \d+$")
"""Ends the path of a row of a table in the list of what was left out."""


def patients_of(
    folder: Path, files: Sequence[DicomFile], taken_from: str, named: Path | None, notes: list[str]
) -> dict[Path, str]:
    """The patient of each file, by its path; empty where there is none.

    Args:
        folder: what is imported.
        files: the files.
        taken_from: ``tag`` or nothing for PatientID, ``folder`` for the first folder below, else a regular
            expression whose first group is found in the path below the folder.
        named: a table of files or folders and the patients they are of, which counts before all else; None
            where there is none.
        notes: patients that PatientID does not tell apart as paths or the table do are counted there.

    Raises:
        UserError: the expression is none, or has no group; or the table is faulty.
    """
    patients = _by_tag_or_path(folder, files, taken_from)
    if named is not None:
        by_path = _table_of_patients(folder, named)
        for file in files:
            above = (file.path.absolute(), *file.path.absolute().parents)  # the file itself, then its folders
            patients[file.path] = next((by_path[p] for p in above if p in by_path), patients[file.path])
        notes.append(f"{named.name} names the patients of {len(by_path)} files or folders")
    notes += _contradictions({(file.patient, patients[file.path]) for file in files if file.patient})
    return patients


def _by_tag_or_path(folder: Path, files: Sequence[DicomFile], taken_from: str) -> dict[Path, str]:
    if taken_from in ("", "tag"):
        return {file.path: file.patient for file in files}
    below = {file.path: file.path.relative_to(folder) for file in files}
    if taken_from == "folder":
        return {path: parts.parts[0] if len(parts.parts) > 1 else "" for path, parts in below.items()}
    pattern = expression("--patient-from", taken_from)
    return {path: first_group(pattern, parts.as_posix()) for path, parts in below.items()}


def _table_of_patients(folder: Path, named: Path) -> dict[Path, str]:
    """The patients that a table names, by the absolute path of a file or folder. Rows without a patient say
    nothing, nor do those about rows of other tables, so that the list of what was left out can be filled in.

    Raises:
        UserError: a column is lacking, or a row names nothing below ``folder``; all such rows are listed.
    """
    table = open_table(named)
    path, patient = table.named("path"), table.named("patient")
    if path is None or patient is None:
        raise UserError(f"{named}, row 1: --patients needs the columns path and patient")
    faults, found = Faults(str(named)), dict[Path, str]()
    for row, cells in table.rows:
        if not cells[patient] or _OF_A_ROW.search(cells[path]):
            continue
        places = (folder / cells[path], Path(cells[path]))
        place = next((each.absolute() for each in places if cells[path] and each.exists()), None)
        if place is None or not place.is_relative_to(folder.absolute()):
            faults.add(row, f"path {cells[path]!r} names no file or folder below {folder}; correct it")
        elif found.setdefault(place, cells[patient]) != cells[patient]:
            faults.add(
                row, f"{cells[path]} is of {found[place]} in an earlier row, and of {cells[patient]} here"
            )
    faults.raise_any()
    return found


def _contradictions(pairs: set[tuple[str, str]]) -> list[str]:
    """Sentences about PatientIDs and the patients that paths name, from the pairs in which they occur."""
    ids = Counter(tag for tag, _ in pairs)
    named = Counter(patient for _, patient in pairs)
    split, mixed = (sum(count > 1 for count in counts.values()) for counts in (ids, named))
    by = "by --patient-from or --patients"
    said = {
        f"{split} PatientIDs belong to several patients {by}: one person twice?": split,
        f"{mixed} patients {by} have several PatientIDs: two persons?": mixed,
    }
    return [sentence for sentence, count in said.items() if count]


def expression(option: str, text: str, *, group: bool = True) -> re.Pattern[str]:
    """The regular expression that an option gives; small and capital letters are the same.

    Raises:
        UserError: it is none, or has no group and should have one.
    """
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UserError(f"{option} {text!r} is no regular expression: {error}") from error
    if group and not pattern.groups:
        raise UserError(f"{option} {text!r} has no group: put brackets around what counts, as in 'P(\\d+)'")
    return pattern


def first_group(pattern: re.Pattern[str], text: str) -> str:
    """What the first group of an expression finds in a text; empty where it finds nothing."""
    found = pattern.search(text)
    return (found[1] or "") if found else ""
