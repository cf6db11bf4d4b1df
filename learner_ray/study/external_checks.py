"""Whether an external cohort goes with a study's: of the same kind, and of other people."""

from __future__ import annotations

from typing import Any

from learner_ray.cohort import CLASSES, Cohort
from learner_ray.cohort.faults import FaultsError
from learner_ray.cohort.patients import normal_form
from learner_ray.core.errors import UserError
from learner_ray.imaging.headers import file_kind
from learner_ray.imaging.kinds import kind_of_scan


def require_alike(cohort: Cohort, external: Cohort) -> None:
    """Refuses an external cohort in which classes, scores or scans mean something else.

    Raises:
        UserError: it does; the message names the first difference.
    """
    there, here = external.score, cohort.score
    alike = {
        "modality": (external.modality, cohort.modality),
        "score": (there.name, here.name),
        "unit of the score": (there.unit or "none", here.unit or "none"),
        "healthier score": (there.healthier, here.healthier),
        "change threshold": (f"{there.change_threshold:g}", f"{here.change_threshold:g}"),
        "order of visits": tuple("in time" if c.temporal else "not in time" for c in (external, cohort)),
    }
    for what, (its, ours) in alike.items():
        if its != ours:
            raise UserError(
                f"--test-data {external.name}: its {what} is {its}, that of {cohort.name} is {ours}; state "
                "the same in the sidecar of its manifest if it is the same, or name other data"
            )
    kinds, known = _kinds(external), _kinds(cohort)
    if not kinds <= known:
        raise UserError(
            f"--test-data {external.name}: its scans are {' or '.join(sorted(kinds))}, those of "
            f"{cohort.name} are {' or '.join(sorted(known))}; convert them, or name other data"
        )
    for count, name in zip(external.class_counts(), CLASSES, strict=True):
        if count == 0:
            raise UserError(
                f"--test-data {external.name}: no progression pair is {name!r}, so no metric over the three "
                "classes can be had there; add patients, or name other data"
            )


def _kinds(cohort: Cohort) -> set[str]:
    """The kinds of scans that have a header; one without is the gate's to refuse or to leave out."""
    return {kind_of_scan(files) for files in cohort.scans["files"] if all(map(file_kind, files))}


def require_apart(cohort: Cohort, external: Cohort) -> None:
    """Refuses an external cohort that has a patient of the study's cohort, under any spelling of the id.

    Raises:
        UserError: it does; the message lists the patients.
    """
    known = {normal_form(patient): patient for patient in cohort.patients}
    rows = external.scans.drop_duplicates("patient")
    faults = [
        ("", f"{source}, row {row}: patient {patient!r} is {known[normal_form(patient)]!r} of {cohort.name}")
        for patient, source, row in zip(rows["patient"], rows["source"], rows["row"], strict=True)
        if normal_form(patient) in known
    ]
    if faults:
        count = "1 patient is" if len(faults) == 1 else f"{len(faults)} patients are"
        raise FaultsError.of(
            f"--test-data {external.name}: {count} in the study's cohort, too:",
            faults,
            "leave them out; if they are other people of the same ids, put the place's name before each id",
        )


def require_other_scans(cohort: Cohort, external: Cohort) -> None:
    """Refuses an external cohort that has a scan of the study's cohort, byte for byte.

    Args:
        cohort: its ``contents`` hold the hash of every file.
        external: likewise.

    Raises:
        UserError: it does; the message lists the scans.
    """
    known = {
        cohort.contents[path]: scan
        for scan, files in zip(cohort.scans["scan"], cohort.scans["files"], strict=True)
        for path in files
        if path in cohort.contents
    }
    scans: list[Any] = list(external.scans.itertuples(index=False))
    faults = [
        ("", f"{scan.source}, row {scan.row}: {scan.scan} has the content of {known[content]}")
        for scan in scans
        for content in dict.fromkeys(external.contents.get(path, "") for path in scan.files)
        if content in known
    ]
    if faults:
        count = "1 scan is" if len(faults) == 1 else f"{len(faults)} scans are"
        raise FaultsError.of(
            f"--test-data {external.name}: {count} in the study's cohort, too:",
            faults,
            "leave the patients of these scans out: a run that has trained on them is not tested by them",
        )
