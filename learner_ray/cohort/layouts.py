"""Public data sets whose folders are recognised as they are distributed.

``covid-blues`` (github NinaWie/COVID-BLUES): ``severity.csv`` and ``lus_videos/patient_11_L3.mp4``. One exam
per patient, so its pairs are of neighbouring lung points and not temporal.

``oasis2`` (OASIS-2, Marcus et al. 2010, doi 10.1162/jocn.2009.21407, as mid-slices): ``axl/``, ``cor/`` and
``sag/`` with one NIfTI slice per MRI session, and ``oasis_longitudinal*.csv`` or ``.xlsx``.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd

from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.score import MMSE, SEVERITY, Score
from learner_ray.errors import UserError

LUNG_POINTS = ("L1", "L2", "L3", "R1", "R2", "R3")
PLANES = ("axl", "cor", "sag")
_CLIP = re.compile(r"(patient_\d+)_([LR][123])(?:_\d+)?")
_FIRST_ROW = 2  # of a table, under the column names


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A folder layout: how it is told, and how it is read."""

    needs: str
    """What a folder must hold, in words."""
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Cohort]


def read_covid_blues(folder: Path) -> Cohort:
    """COVID-BLUES: a visit is a lung point, its score the mean severity of its clips.

    Raises:
        UserError: the table is faulty.
    """
    table = folder / "severity.csv"
    severity = _severities(table)
    points: dict[tuple[str, str], list[Path]] = defaultdict(list)
    clips = 0
    for clip in sorted((folder / "lus_videos").iterdir()):
        parts = _CLIP.fullmatch(clip.stem)
        clips += parts is not None
        if parts and clip.stem in severity:
            points[parts[1], parts[2]].append(clip)
    scans = [
        Scan(
            scan=f"lus_videos/{clip.name}",
            files=(str(clip.absolute()),),
            patient=patient,
            visit=point,
            order=float(LUNG_POINTS.index(point)),
            score=fmean(severity[c.stem][1] for c in repeats),
            source=str(table),
            row=severity[clip.stem][0],
        )
        for (patient, point), repeats in points.items()
        for clip in repeats
    ]
    notes = [f"visits are lung points in the order {' '.join(LUNG_POINTS)}, so pairs are not temporal"]
    notes += _left_out(clips - len(scans), clips, f"clips left out: no severity in {table.name}")
    notes += _left_out(
        len(severity) - len(scans), len(severity), f"clips in {table.name} are not in lus_videos"
    )
    _check_patients(folder, scans, notes)
    return Cohort(
        name="COVID-BLUES",
        modality="lus",
        score=SEVERITY,
        scans=scan_table(scans),
        temporal=False,
        notes=tuple(notes),
    )


def _severities(path: Path) -> dict[str, tuple[int, float]]:
    """Row and severity of each clip that has one, by the clip's name."""
    table = _read_table(path, ("video_file", "Severity Score"))
    names = table["video_file"].astype(str).str.strip()
    faults = Faults(str(path))
    severities = _numbers(table["Severity Score"], SEVERITY, faults)
    _check_unique(names, faults)
    faults.raise_any()
    rated = zip(names, table.index + _FIRST_ROW, severities, strict=True)
    return {name: (int(row), value) for name, row, value in rated if not math.isnan(value)}


def read_oasis2(folder: Path) -> Cohort:
    """OASIS-2 mid-slices: one scan per MRI session, its three planes stacked.

    Raises:
        UserError: the table is faulty.
    """
    path = _oasis_table(folder)
    if path is None:
        raise UserError(f"{folder} holds no oasis_longitudinal*.csv or .xlsx; put the table there")
    table = _read_table(path, ("Subject ID", "MRI ID", "Visit", "MR Delay", "MMSE"))
    sessions = table["MRI ID"].astype(str).str.strip()
    faults = Faults(str(path))
    _check_unique(sessions, faults)
    mmse = _numbers(table["MMSE"], MMSE, faults)
    visit, day = (pd.to_numeric(table[column], errors="coerce") for column in ("Visit", "MR Delay"))
    for row in table.index[visit.isna() | day.isna()]:
        faults.add(int(row) + _FIRST_ROW, "Visit and MR Delay must be numbers; correct them")
    faults.raise_any()
    files = [_planes(folder, session) for session in sessions]
    scans = [
        Scan(
            scan=session,
            files=files[i],
            patient=str(table["Subject ID"][i]).strip(),
            visit=f"{visit[i]:g}",
            order=float(visit[i]),
            day=float(day[i]),
            score=mmse[i],
            source=str(path),
            row=i + _FIRST_ROW,
        )
        for i, session in enumerate(sessions)
        if files[i] and not math.isnan(mmse[i])
    ]
    incomplete = sum(not of for of in files)
    unrated = sum(bool(of) and math.isnan(score) for of, score in zip(files, mmse, strict=True))
    notes = [f"sessions are listed in {path.name}"]
    notes += _left_out(incomplete, len(table), f"sessions left out: lacking one of {', '.join(PLANES)}")
    notes += _left_out(unrated, len(table), "sessions left out: no MMSE")
    _check_patients(folder, scans, notes)
    return Cohort(name="OASIS-2", modality="mri", score=MMSE, scans=scan_table(scans), notes=tuple(notes))


def _planes(folder: Path, session: str) -> tuple[str, ...]:
    """A session's slices in the order of ``PLANES``; none where one is lacking."""
    found = []
    for plane in PLANES:
        names = (f"{session}_{plane}{suffix}" for suffix in (".nii.gz", ".nii"))
        paths = [path for name in names if (path := (folder / plane / name).absolute()).is_file()]
        if not paths:
            return ()
        found.append(str(paths[0]))
    return tuple(found)


def _oasis_table(folder: Path) -> Path | None:
    """The sessions' table: a CSV before a workbook, which holds the same."""
    found = [path for suffix in ("csv", "xlsx") for path in folder.glob(f"oasis_longitudinal*.{suffix}")]
    return found[0] if found else None


def _read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_excel(path) if path.suffix == ".xlsx" else pd.read_csv(path)
    except Exception as error:  # pandas and openpyxl share no base class for damaged files
        raise UserError(f"{path} cannot be read as a table: {error}; use it as distributed") from error
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise UserError(f"{path}, row 1: no column {', '.join(missing)}; use the table as distributed")
    return table


def _numbers(cells: pd.Series[str], score: Score, faults: Faults) -> list[float]:
    """A column of scores; empty cells are NaN."""
    numbers = pd.to_numeric(cells, errors="coerce")
    for row in cells.index[cells.notna() & ~numbers.between(score.low, score.high)]:
        faults.add(
            int(row) + _FIRST_ROW,
            f"{cells.name} {cells[row]!s} is no number of {score.low:g} to {score.high:g}; correct it",
        )
    return [float(number) for number in numbers]


def _check_unique(names: pd.Series[str], faults: Faults) -> None:
    for row in names.index[names.duplicated()]:
        faults.add(int(row) + _FIRST_ROW, f"{names[row]} is listed twice; list it once")


def _check_patients(folder: Path, scans: list[Scan], notes: list[str]) -> None:
    if len({scan.patient for scan in scans}) < 2:
        raise UserError(f"{folder}: fewer than two patients have usable scans ({'; '.join(notes)})")


def _left_out(count: int, of: int, what: str) -> list[str]:
    return [f"{count} of {of} {what}"] if count else []


LAYOUTS = {
    "covid-blues": Layout(
        needs="severity.csv and lus_videos/",
        recognises=lambda folder: (folder / "severity.csv").is_file() and (folder / "lus_videos").is_dir(),
        read=read_covid_blues,
    ),
    "oasis2": Layout(
        needs="axl/, cor/, sag/ and oasis_longitudinal*.csv or .xlsx",
        recognises=lambda folder: (
            all((folder / plane).is_dir() for plane in PLANES) and _oasis_table(folder) is not None
        ),
        read=read_oasis2,
    ),
}
"""Layouts by the name that ``--format`` takes."""
