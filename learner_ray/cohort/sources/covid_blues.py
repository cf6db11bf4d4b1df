"""COVID-BLUES (github NinaWie/COVID-BLUES): lung ultrasound of one exam per patient.

Its folder holds ``severity.csv`` and ``lus_videos/patient_11_L3.mp4``. The pairs are of neighbouring lung
points and not temporal."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.covariates import Covariates
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import Listed, without_score
from learner_ray.cohort.patients import check_spellings
from learner_ray.cohort.score import SEVERITY
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.cohort.sources.importer import LeftOut
from learner_ray.cohort.sources.layout_importer import LayoutImporter
from learner_ray.cohort.sources.tables import (
    FIRST_ROW,
    check_patients,
    check_unique,
    covariates_of,
    left_out,
    numbers,
    read_table,
    visible,
)
from learner_ray.cohort.unrecognised import count_kinds
from learner_ray.core.errors import UserError

LUNG_POINTS = ("L1", "L2", "L3", "R1", "R2", "R3")
_CLIP = re.compile(r"(patient_\d+)_([LR][123])(?:_\d+)?")


class CovidBlues(SourceLayout):
    """A visit is a lung point, its score the mean severity of its clips."""

    name = "covid-blues"
    needs = "severity.csv and lus_videos/"

    def recognises(self, folder: Path) -> bool:
        return (folder / "severity.csv").is_file() and (folder / "lus_videos").is_dir()

    def read(self, folder: Path, missing: Sequence[str] = ()) -> Cohort:
        table = folder / "severity.csv"
        severity, notes = _severities(table, missing)
        clips, foreign = _clips(folder / "lus_videos")
        points: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in sorted(clips.keys() & severity.keys()):
            if parts := _CLIP.fullmatch(name):
                points[parts[1], parts[2]].append(name)
        covariates, unread = _covariates(folder / "clinical_variables.csv", missing)
        scans = [
            Scan(
                scan=f"lus_videos/{clips[name].name}",
                files=(str(clips[name].absolute()),),
                patient=patient,
                visit=point,
                order=float(LUNG_POINTS.index(point)),
                score=fmean(severity[each][1] for each in names),
                **vars(covariates.get(patient.removeprefix("patient_"), Covariates())),
                source=str(table),
                row=severity[name][0],
            )
            for (patient, point), names in points.items()
            for name in names
        ]
        notes = [
            f"visits are lung points in the order {' '.join(LUNG_POINTS)}, so pairs are not temporal",
            *notes,
            *unread,
        ]
        notes += left_out(
            len(clips.keys() - severity.keys()), len(clips), f"clips left out: no severity in {table.name}"
        )
        absent = len(severity.keys() - clips.keys())
        notes += left_out(absent, len(severity), f"clips in {table.name} are not in lus_videos")
        notes += [f"not used in lus_videos: {foreign}"] if foreign else []
        faults = Faults(str(table))
        check_spellings([(scan.row, scan.patient) for scan in scans], faults)
        faults.raise_any()
        check_patients(folder, scans, notes)
        names = clips.keys() | severity.keys()
        lacking = {"no severity": len(names - severity.keys()), "no such clip": absent}
        return Cohort(
            name="COVID-BLUES",
            modality="lus",
            score=SEVERITY,
            scans=scan_table(scans),
            temporal=False,
            ratings={
                f"lus_videos/{clips[name].name}": severity[name][1]
                for names in points.values()
                for name in names
            },
            notes=tuple(notes),
            listed=Listed(
                scans=len(names),
                patients=len({parts[1] for name in names if (parts := _CLIP.fullmatch(name))}),
                left_out={why: count for why, count in lacking.items() if count},
            ),
        )

    def left_out(self, folder: Path, missing: Sequence[str] = ()) -> list[LeftOut]:
        table = folder / "severity.csv"
        clips, _ = _clips(folder / "lus_videos")
        listed = dict(_ratings(table, missing))
        unlisted = sorted(clips.keys() - listed.keys())
        found = [LeftOut(path=str(clips[name]), reason=f"no row in {table.name}") for name in unlisted]
        for name, (row, severity) in listed.items():
            where, patient = f"{table}, row {row}", name.rpartition("_")[0]
            if name not in clips:
                found.append(
                    LeftOut(path=where, patient=patient, reason=f"the clip is not in lus_videos: {name}")
                )
            elif math.isnan(severity):
                reason = f"no score: missing in {table.name}, row {row}"
                found.append(LeftOut(path=str(clips[name]), patient=patient, reason=reason))
        return found


class CovidBluesImporter(LayoutImporter):
    """The importer of the same folder. Visits are numbers there, since L1 and R1 cannot be sorted."""

    name = CovidBlues.name
    needs = CovidBlues.needs
    layout = CovidBlues


def _covariates(path: Path, missing: Sequence[str]) -> tuple[dict[str, Covariates], list[str]]:
    """Age and sex by the number of the patient, where the table that has them lies there; and notes."""
    if not path.is_file():
        return {}, []
    try:
        table = read_table(path, ("patient_id",))
    except UserError as error:  # scores and scans do not depend on it
        return {}, [f"age and sex are not known: {error}"]
    if "pat_sex" in table:
        table["pat_sex"] = table["pat_sex"].replace({"0": "F", "0.0": "F", "1": "M", "1.0": "M"})
    found, notes = covariates_of(table, {"age": ("pat_age",), "sex": ("pat_sex",)}, missing)
    return dict(zip(table["patient_id"].str.strip(), found, strict=True)), notes


def _clips(folder: Path) -> tuple[dict[str, Path], str]:
    """Clips by the name without its suffix, and the other files, counted by kind.

    Raises:
        UserError: two clips have one name, and nobody can tell which of them was rated.
    """
    clips: dict[str, Path] = {}
    foreign = []
    faults = Faults(str(folder))
    for path in visible(folder):
        if not _CLIP.fullmatch(path.stem):
            foreign.append(path)
        elif clips.setdefault(path.stem, path) != path:
            faults.add(0, f"{clips[path.stem].name} and {path.name} are two clips of one name; keep one")
    faults.raise_any()
    return clips, count_kinds(iter(foreign))


def _ratings(path: Path, missing: Sequence[str]) -> list[tuple[str, tuple[int, float]]]:
    """Row and severity of each clip in the table, NaN where it is missing, by the clip's name."""
    table = read_table(path, ("video_file", "Severity Score"))
    names = table["video_file"].str.strip()
    faults = Faults(str(path))
    severities = numbers(table["Severity Score"], SEVERITY, missing, faults)
    check_unique(names, faults)
    faults.raise_any()
    rows = [int(index) + FIRST_ROW for index in table.index]
    return list(zip(names, zip(rows, severities, strict=True), strict=True))


def _severities(path: Path, missing: Sequence[str]) -> tuple[dict[str, tuple[int, float]], list[str]]:
    """Row and severity of each clip that has one, by the clip's name; and a note about the others."""
    rated = _ratings(path, missing)
    unrated = [row for _, (row, value) in rated if math.isnan(value)]
    notes = without_score(unrated, len(rated), f"rows of {path.name}")
    return {name: (row, value) for name, (row, value) in rated if not math.isnan(value)}, notes
