"""DICOM as archives export it: any tree, any names. Ultrasound and radiographs are scans as they are; of MR
series volumes are made (``dicom_series``).

Headers are read here, though the cohort opens no image: patient and time stand nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from learner_ray.cohort.any_table import open_table
from learner_ray.cohort.dates import Moment
from learner_ray.cohort.dicom_tags import has_magic, is_dicom
from learner_ray.cohort.sources.dicom_files import DicomFile, dicom_files
from learner_ray.cohort.sources.dicom_patients import expression, first_group, patients_of
from learner_ray.cohort.sources.dicom_series import T1, Series, convert, require_converter, t1_series
from learner_ray.cohort.sources.importer import (
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    LeftOut,
    Progress,
)
from learner_ray.cohort.sources.scores import read_scores
from learner_ray.cohort.unrecognised import files_below
from learner_ray.core.errors import UserError

MODALITIES = {"ultrasound": "lus", "radiograph": "xray", "mr": "mri"}
"""What a cohort of a kind of files is called; the kinds that are imported."""
_TABLES = (".csv", ".tsv", ".xlsx", ".xlsm")
"""Ends of names of what may be the table of scores, beside the folders of an export."""
_LOOKED_AT, _PARSED = 2000, 50
"""Files among which one must say that it is DICOM, or prove to be, for a folder to count as DICOM."""


class Dicom(Importer):
    """A folder of DICOM files of any names."""

    name = "dicom"
    needs = "DICOM files of ultrasound, radiographs or MR, of any names"

    def __init__(self) -> None:
        self._series: dict[Path, Series] = {}  # by the path of the volume to be made

    def evidence(self, path: Path) -> Evidence | None:
        if not path.is_dir():
            return None
        looked = list(islice(files_below(path), _LOOKED_AT))
        tests = [(file, has_magic) for file in looked] + [(file, is_dicom) for file in looked[:_PARSED]]
        found = next((file for file, test in tests if test(file)), None)
        if found is None:
            return None
        return Evidence(sure="likely", because=f"{found.relative_to(path)} is DICOM")

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        if options.scores is None:
            beside = [each for each in sorted(path.iterdir()) if each.suffix.lower() in _TABLES]
            such = f", such as {', '.join(map(str, beside[:3]))}" if beside else ""
            raise UserError(f"DICOM files hold no scores: name the table that does in --scores{such}")
        view = expression("--view-from", options.view_from) if options.view_from else None
        notes: list[str] = []
        left_out: list[LeftOut] = []
        files = dicom_files(path, progress, left_out, notes)
        kind, files = _of_one_kind(path, files, options.modality, left_out)
        series: dict[Path, Series] = {}
        if kind == "mr":
            like = expression("--series", options.series or T1, group=False)
            series = {each.first.path: each for each in t1_series(files, like, left_out)}
            files = [each.first for each in series.values()]
        patients = patients_of(path, files, options.patient_from, options.patients, notes)
        files = _usable(files, patients, left_out)
        if kind == "ultrasound":
            files = _without_stills(files, left_out, notes)
        times = _times_of_studies(files)
        scans = [_scan(file, patients[file.path], times[_study(file)], view) for file in files]
        if kind == "mr":
            scans = self._as_volumes(scans, series, options.out)
            notes.append(f"volumes are made in {_volumes(options.out)}/ of {len(scans)} MR series at most")
        if any(scan.more.get("site") for scan in scans):
            notes.append("site is a hash of InstitutionName")
        return Found(
            scans=scans,
            scores=read_scores(open_table(options.scores), options, notes, left_out),
            left_out=left_out,
            notes=notes,
            modality=MODALITIES[kind],
            rules=("scan", "nearest"),
        )

    def _as_volumes(
        self, scans: Sequence[FoundScan], by_slice: Mapping[Path, Series], out: Path
    ) -> list[FoundScan]:
        """Scans by their first slice, with the volume to be made as their path."""
        volumes = []
        for scan in scans:
            series = by_slice[scan.path]
            path = series.volume(_volumes(out))
            self._series[path] = series
            volumes.append(replace(scan, path=path, image=series.first.series, group="t1", rank=series.rank))
        return volumes

    def make_files(self, scans: Sequence[FoundScan], progress: Progress) -> Mapping[Path, str]:
        made = [scan.path for scan in scans if scan.path in self._series]
        if not made:
            return {}
        require_converter()
        try:
            made[0].parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{made[0].parent} cannot be written ({error.strerror}); choose another --out"
            ) from error
        unmade = {}
        for count, path in enumerate(made, start=1):
            if reason := convert(self._series[path], path):
                unmade[path] = reason
            progress(count, f"of {len(made)} volumes")
        return unmade


def _of_one_kind(
    folder: Path, files: Sequence[DicomFile], modality: str, left_out: list[LeftOut]
) -> tuple[str, list[DicomFile]]:
    """The kind of files to import, and those of it.

    Raises:
        UserError: there is none, or nothing says which of several is meant.
    """
    counts = Counter(file.kind for file in files if file.kind in MODALITIES)
    listed = " and ".join(f"{kind} ({count:,})" for kind, count in counts.most_common())
    named = next((kind for kind, word in MODALITIES.items() if word == modality), None)
    if not counts or (named and named not in counts):
        raise UserError(f"{folder} holds no DICOM file of {named or 'ultrasound, radiographs or MR'}")
    if named is None and len(counts) > 1:
        choices = " or ".join(f"--modality {MODALITIES[kind]}" for kind in counts)
        raise UserError(f"{folder} holds {listed}: choose with {choices}")
    kind = named or next(iter(counts))
    for file in files:
        if file.kind != kind:
            left_out.append(_left(file, f"{file.kind}, where {kind} is imported"))
    return kind, [file for file in files if file.kind == kind]


def _volumes(out: Path) -> Path:
    """The folder of the volumes of a manifest."""
    return out.with_name(f"{out.stem}-volumes")


def _usable(
    files: Sequence[DicomFile], patients: dict[Path, str], left_out: list[LeftOut]
) -> list[DicomFile]:
    """The files whose patient and time are known; the others are left out."""
    usable = []
    for file in files:
        if not patients[file.path]:
            reason = "PatientID is empty: fill in patient in this list and give it as --patients"
            left_out.append(_left(file, reason))
        elif file.when is None:
            left_out.append(_left(file, "no StudyDate: its visit cannot be placed in time"))
        else:
            usable.append(file)
    return usable


def _without_stills(files: Sequence[DicomFile], left_out: list[LeftOut], notes: list[str]) -> list[DicomFile]:
    """The clips where there are any: a still is one frame of many, chosen and written on by hand."""
    clips = [file for file in files if file.frames > 1]
    if clips and len(clips) < len(files):
        notes.append(f"{len(clips)} clips are taken, {len(files) - len(clips)} still pictures left out")
        left_out += [
            _left(file, "a still picture, where clips are taken") for file in files if file.frames < 2
        ]
    return clips or list(files)


def _times_of_studies(files: Sequence[DicomFile]) -> dict[str, Moment]:
    """When each study began: its files are one visit, though devices may write a time for each."""
    times: dict[str, Moment] = {}
    for file in files:
        assert file.when is not None
        times[_study(file)] = min(times.get(_study(file), file.when), file.when)
    return times


def _study(file: DicomFile) -> str:
    return file.study or str(file.when)


def _scan(file: DicomFile, patient: str, when: Moment, view: re.Pattern[str] | None) -> FoundScan:
    shown = first_group(view, f"{file.description} {file.path.name}") if view else ""
    more = {"view": shown, "device": file.device, "site": file.site}
    return FoundScan(
        path=file.path,
        patient=patient,
        when=when,
        image=file.instance,
        more={column: cell for column, cell in more.items() if cell},
    )


def _left(file: DicomFile, reason: str) -> LeftOut:
    return LeftOut(
        path=str(file.path),
        patient=file.patient,
        visit=file.when.text if file.when else "",
        reason=reason,
    )
