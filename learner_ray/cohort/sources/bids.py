"""BIDS (bids.neuroimaging.io): ``sub-X[/ses-Y]/anat/*_T1w.nii.gz`` with tables of sessions.

Times are in ``bids_times``, scores in ``bids_tables``. Names are parsed here and not by a library: of two,
pybids is heavy, and bids2table needs newer versions of Python and pyarrow than this package.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from learner_ray.cohort.any_table import open_table
from learner_ray.cohort.labels import visit_key
from learner_ray.cohort.patients import normal_form
from learner_ray.cohort.sources.bids_tables import scores_of, session_tables
from learner_ray.cohort.sources.bids_times import times_of
from learner_ray.cohort.sources.importer import (
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    LeftOut,
    Progress,
    ScoreRow,
)
from learner_ray.cohort.sources.join import left_row
from learner_ray.cohort.sources.scores import read_scores
from learner_ray.core.errors import UserError
from learner_ray.core.files import json_object

SUFFIXES = ("T1w", "T2w", "FLAIR", "PDw", "T2starw")
"""Kinds of anatomical images; one is taken for the whole cohort, so that a change is none of contrast."""
_IMAGE = re.compile(r"(?P<entities>.*)_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?")
_POINTER_BYTES = 1024


class Bids(Importer):
    """A data set in BIDS, raw or derived, with a score per session."""

    name = "bids"
    needs = "dataset_description.json and folders sub-*"

    def evidence(self, path: Path) -> Evidence | None:
        if not path.is_dir() or "CAPSVersion" in description(path):
            return None
        subjects = len(subject_folders(path))
        if not subjects:
            return None
        if (path / "dataset_description.json").is_file():
            return Evidence(sure="certain", because=f"dataset_description.json and {subjects} folders sub-*")
        return Evidence(sure="likely", because=f"{subjects} folders sub-*, but no dataset_description.json")

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        root = path / "derivatives" / options.derivative if options.derivative else path
        subjects = subject_folders(root)
        if not subjects:
            raise UserError(
                f"{root} holds no folder sub-*; name the folder below derivatives in --derivative"
            )
        suffix = options.prefer if options.prefer in SUFFIXES else SUFFIXES[0]
        scans: list[FoundScan] = []
        left_out: list[LeftOut] = []
        for subject in subjects:
            for session in _sessions(subject):
                for image in _images(session, suffix, options):
                    progress(len(scans), "images")
                    scans.append(image_of(image, subject.name, session, options))
        notes = [f"images: {suffix}, one per session" + (f", of {root}" if options.derivative else "")]
        _one_space(scans, options)
        found = Found(scans=scans, scores=[], left_out=left_out, notes=notes, modality="mri")
        return with_tables(found, path, options)


def subject_folders(root: Path) -> list[Path]:
    """The folders ``sub-*`` in a folder."""
    return sorted(p for p in root.glob("sub-*") if p.is_dir()) if root.is_dir() else []


def description(root: Path) -> dict[str, object]:
    """What ``dataset_description.json`` says; nothing where there is none, or it is damaged."""
    try:
        return json_object(root / "dataset_description.json")
    except (OSError, ValueError):
        return {}


def image_of(path: Path, subject: str, session: Path, options: ImportOptions) -> FoundScan:
    """An image as a scan of its session."""
    run = re.search(r"_run-(\d+)", path.name)
    return FoundScan(
        path=path,
        patient=subject,
        visit=session.name if session.name.startswith("ses-") else "",
        group="image",
        rank=(not options.prefers(path.name), int(run[1]) if run else 0, path.name),
    )


def with_tables(found: Found, root: Path, options: ImportOptions) -> Found:
    """Adds times and scores from the tables of a BIDS data set to the scans of a folder like it.

    Raises:
        UserError: no table holds the score, or the times of visits contradict each other.
    """
    visits = defaultdict(set)
    for scan in found.scans:
        visits[scan.patient].add(scan.visit)
    there, absent = _contents(found.scans)
    left_out, notes = [*found.left_out, *absent], list(found.notes)
    sessions = defaultdict(list)
    for scan in there:
        sessions[scan.patient].append(scan.visit)
    subjects = dict.fromkeys([*sessions, *(folder.name for folder in subject_folders(root))])
    tables = {patient: session_tables(root, patient, visits[patient]) for patient in subjects}
    times = times_of(root, sessions, tables, options, notes)
    scans = [replace(scan, when=times.get((scan.patient, scan.visit))) for scan in there]
    if options.scores is not None:
        scores: Sequence[ScoreRow] = read_scores(open_table(options.scores), options, notes, left_out)
        return replace(found, scans=scans, scores=[*scores], left_out=left_out, notes=notes)
    scores = scores_of(root, tables, times, options, notes)
    on_disk = {(normal_form(scan.patient), visit_key(scan.visit)) for scan in found.scans}
    left_out += [
        left_row(row, "the session has no such image on disk")
        for row in scores
        if (normal_form(row.patient), visit_key(row.visit)) not in on_disk
    ]
    # A table of sessions has the score of each: that of another session is none of this one.
    return replace(found, scans=scans, scores=[*scores], left_out=left_out, notes=notes, rules=("visit",))


def _contents(scans: Sequence[FoundScan]) -> tuple[list[FoundScan], list[LeftOut]]:
    """The scans whose content is on this disk, and those of which a link or pointer alone is."""
    there, absent = [], []
    for scan in scans:
        if _has_content(scan.path):
            there.append(scan)
        else:
            reason = f"its content is not here: datalad get {scan.path.name} in its folder"
            absent.append(LeftOut(path=str(scan.path), patient=scan.patient, visit=scan.visit, reason=reason))
    return there, absent


def _has_content(path: Path) -> bool:
    try:
        size = path.stat().st_size
    except OSError:  # a broken link of git-annex
        return False
    if size > _POINTER_BYTES:
        return True
    return size > 0 and b"/annex/objects/" not in path.read_bytes()


def _sessions(subject: Path) -> Iterator[Path]:
    """The sessions of a subject, or the subject where it has none."""
    sessions = sorted(p for p in subject.glob("ses-*") if p.is_dir())
    yield from sessions or [subject]


def _images(session: Path, suffix: str, options: ImportOptions) -> Iterator[Path]:
    for path in sorted((session / "anat").glob(f"*_{suffix}.nii*")):
        if not _IMAGE.fullmatch(path.name):
            continue
        if not options.space or f"_space-{options.space}_" in path.name:
            yield path


def _one_space(scans: Sequence[FoundScan], options: ImportOptions) -> None:
    """Refuses images in several template spaces: a mixture fakes change."""
    spaces = {m[1] if (m := re.search(r"_space-([^_]+)", scan.path.name)) else "none" for scan in scans}
    if len(spaces) > 1:
        raise UserError(
            f"images are in several spaces ({', '.join(sorted(spaces))}); choose one with --space"
        )
