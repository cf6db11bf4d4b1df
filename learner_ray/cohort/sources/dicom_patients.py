"""The patient of a DICOM file, by its tags or its path."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cohort.sources.dicom_files import DicomFile
from learner_ray.core.errors import UserError


def patients_of(
    folder: Path, files: Sequence[DicomFile], taken_from: str, notes: list[str]
) -> dict[Path, str]:
    """The patient of each file, by its path; empty where there is none.

    Args:
        folder: what is imported.
        files: the files.
        taken_from: ``tag`` or nothing for PatientID, ``folder`` for the first folder below, else a regular
            expression whose first group is found in the path below the folder.
        notes: patients that PatientID does not tell apart as paths do are counted there.

    Raises:
        UserError: the expression is none, or has no group.
    """
    if taken_from in ("", "tag"):
        return {file.path: file.patient for file in files}
    below = {file.path: file.path.relative_to(folder) for file in files}
    if taken_from == "folder":
        patients = {path: parts.parts[0] if len(parts.parts) > 1 else "" for path, parts in below.items()}
    else:
        pattern = expression("--patient-from", taken_from)
        patients = {path: first_group(pattern, parts.as_posix()) for path, parts in below.items()}
    notes += _contradictions({(file.patient, patients[file.path]) for file in files if file.patient})
    return patients


def _contradictions(pairs: set[tuple[str, str]]) -> list[str]:
    """Sentences about PatientIDs and the patients that paths name, from the pairs in which they occur."""
    ids = Counter(tag for tag, _ in pairs)
    named = Counter(patient for _, patient in pairs)
    split, mixed = (sum(count > 1 for count in counts.values()) for counts in (ids, named))
    said = {
        f"{split} PatientIDs belong to several patients by --patient-from: one person twice?": split,
        f"{mixed} patients by --patient-from have several PatientIDs: two persons?": mixed,
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
