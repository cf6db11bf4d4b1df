"""Public data sets whose folders are recognised as they are distributed.

``covid-blues`` (github NinaWie/COVID-BLUES): ``severity.csv`` and ``lus_videos/patient_11_L3.mp4``. One exam
per patient, so its pairs are of neighbouring lung points and not temporal.

``oasis2`` (OASIS-2, Marcus et al. 2010, doi 10.1162/jocn.2009.21407, as mid-slices): ``axl/``, ``cor/`` and
``sag/`` with one NIfTI slice per MRI session, and ``oasis_longitudinal*.csv`` or ``.xlsx``.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd

from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import is_missing, without_score
from learner_ray.cohort.patients import check_spellings
from learner_ray.cohort.score import MMSE, SEVERITY, Score
from learner_ray.cohort.timing import Visit, moments
from learner_ray.cohort.unrecognised import count_kinds
from learner_ray.core.errors import UserError

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
    read: Callable[[Path, Sequence[str]], Cohort]
    """Of a folder, and the codes of a missing score."""


def read_covid_blues(folder: Path, missing: Sequence[str] = ()) -> Cohort:
    """COVID-BLUES: a visit is a lung point, its score the mean severity of its clips.

    Raises:
        UserError: the table is faulty, or two clips have one name.
    """
    table = folder / "severity.csv"
    severity, notes = _severities(table, missing)
    clips, foreign = _clips(folder / "lus_videos")
    points: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(clips.keys() & severity.keys()):
        if parts := _CLIP.fullmatch(name):
            points[parts[1], parts[2]].append(name)
    scans = [
        Scan(
            scan=f"lus_videos/{clips[name].name}",
            files=(str(clips[name].absolute()),),
            patient=patient,
            visit=point,
            order=float(LUNG_POINTS.index(point)),
            score=fmean(severity[each][1] for each in names),
            source=str(table),
            row=severity[name][0],
        )
        for (patient, point), names in points.items()
        for name in names
    ]
    notes = [
        f"visits are lung points in the order {' '.join(LUNG_POINTS)}, so pairs are not temporal",
        *notes,
    ]
    notes += _left_out(
        len(clips.keys() - severity.keys()), len(clips), f"clips left out: no severity in {table.name}"
    )
    absent = len(severity.keys() - clips.keys())
    notes += _left_out(absent, len(severity), f"clips in {table.name} are not in lus_videos")
    notes += [f"not used in lus_videos: {foreign}"] if foreign else []
    faults = Faults(str(table))
    check_spellings([(scan.row, scan.patient) for scan in scans], faults)
    faults.raise_any()
    _check_patients(folder, scans, notes)
    return Cohort(
        name="COVID-BLUES",
        modality="lus",
        score=SEVERITY,
        scans=scan_table(scans),
        temporal=False,
        notes=tuple(notes),
    )


def _clips(folder: Path) -> tuple[dict[str, Path], str]:
    """Clips by the name without its suffix, and the other files, counted by kind.

    Raises:
        UserError: two clips have one name, and nobody can tell which of them was rated.
    """
    clips: dict[str, Path] = {}
    foreign = []
    faults = Faults(str(folder))
    for path in _visible(folder):
        if not _CLIP.fullmatch(path.stem):
            foreign.append(path)
        elif clips.setdefault(path.stem, path) != path:
            faults.add(0, f"{clips[path.stem].name} and {path.name} are two clips of one name; keep one")
    faults.raise_any()
    return clips, count_kinds(iter(foreign))


def _severities(path: Path, missing: Sequence[str]) -> tuple[dict[str, tuple[int, float]], list[str]]:
    """Row and severity of each clip that has one, by the clip's name; and a note about the others."""
    table = _read_table(path, ("video_file", "Severity Score"))
    names = table["video_file"].str.strip()
    faults = Faults(str(path))
    severities = _numbers(table["Severity Score"], SEVERITY, missing, faults)
    _check_unique(names, faults)
    faults.raise_any()
    rated = list(zip(names, table.index + _FIRST_ROW, severities, strict=True))
    unrated = [int(row) for _, row, value in rated if math.isnan(value)]
    notes = without_score(unrated, len(table), f"rows of {path.name}")
    return {name: (int(row), value) for name, row, value in rated if not math.isnan(value)}, notes


def read_oasis2(folder: Path, missing: Sequence[str] = ()) -> Cohort:
    """OASIS-2 mid-slices: one scan per MRI session, its three planes stacked.

    Raises:
        UserError: the table is faulty, or there are two that differ.
    """
    path, table = _oasis_table(folder)
    sessions = table["MRI ID"].str.strip()
    faults = Faults(str(path))
    _check_unique(sessions, faults)
    mmse = _numbers(table["MMSE"], MMSE, missing, faults)
    visit, day = (pd.to_numeric(table[column], errors="coerce") for column in ("Visit", "MR Delay"))
    for row in table.index[visit.isna() | day.isna()]:
        faults.add(int(row) + _FIRST_ROW, "Visit and MR Delay must be numbers; correct them")
    subjects = table["Subject ID"].str.strip()
    check_spellings(zip(table.index + _FIRST_ROW, subjects, strict=True), faults)
    faults.raise_any()
    told = [
        Visit(row=i + _FIRST_ROW, patient=subjects[i], name=f"{visit[i]:g}", days={"MR Delay": float(day[i])})
        for i in table.index
    ]
    moments(told, faults)
    faults.raise_any()
    files = [_planes(folder, session) for session in sessions]
    scans = [
        Scan(
            scan=session,
            files=files[i],
            patient=subjects[i],
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
    unrated = [i + _FIRST_ROW for i, score in enumerate(mmse) if files[i] and math.isnan(score)]
    notes = [f"sessions are listed in {path.name}"]
    notes += _left_out(incomplete, len(table), f"sessions left out: lacking one of {', '.join(PLANES)}")
    notes += without_score(unrated, len(table), "sessions")
    notes += _foreign_planes(folder, files)
    _check_patients(folder, scans, notes)
    return Cohort(name="OASIS-2", modality="mri", score=MMSE, scans=scan_table(scans), notes=tuple(notes))


def _planes(folder: Path, session: str) -> tuple[str, ...]:
    """A session's slices in the order of ``PLANES``; none where one is lacking.

    Raises:
        UserError: a slice is there twice.
    """
    found = []
    for plane in PLANES:
        names = (f"{session}_{plane}{suffix}" for suffix in (".nii.gz", ".nii"))
        paths = [path for name in names if (path := (folder / plane / name).absolute()).is_file()]
        if len(paths) > 1:
            raise UserError(f"{paths[0]} and {paths[1].name} are two slices of one name; keep one")
        if not paths:
            return ()
        found.append(str(paths[0]))
    return tuple(found)


def _foreign_planes(folder: Path, files: Iterable[tuple[str, ...]]) -> list[str]:
    """The note about files in the planes' folders that no session of the table has."""
    used = {file for of in files for file in of}
    foreign = [p for plane in PLANES for p in _visible(folder / plane) if str(p.absolute()) not in used]
    return [f"not used in {', '.join(PLANES)}: {count_kinds(iter(foreign))}"] if foreign else []


def _oasis_tables(folder: Path) -> list[Path]:
    return [
        path for suffix in ("csv", "xlsx") for path in sorted(folder.glob(f"oasis_longitudinal*.{suffix}"))
    ]


def _oasis_table(folder: Path) -> tuple[Path, pd.DataFrame]:
    """The sessions' table and its path; a workbook beside a CSV must hold the same.

    Raises:
        UserError: there is none, there are two of one kind, or the two differ.
    """
    found = _oasis_tables(folder)
    if not found:
        raise UserError(f"{folder} holds no oasis_longitudinal*.csv or .xlsx; put the table there")
    kinds = Counter(path.suffix for path in found)
    names = " and ".join(path.name for path in found)
    if max(kinds.values()) > 1:
        raise UserError(f"{folder} holds {names}: which one lists the sessions cannot be told; keep one")
    needed = ("Subject ID", "MRI ID", "Visit", "MR Delay", "MMSE")
    table, *others = [_read_table(path, needed) for path in found]
    for other in others:
        row = _first_difference(table, other, needed)
        if row is not None:
            raise UserError(f"{folder} holds {names}, which differ from row {row} on; keep one")
    return found[0], table


def _first_difference(table: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str]) -> int | None:
    """The first row in which two tables say different things, numbers by their value."""
    for i in range(max(len(table), len(other))):
        if i >= min(len(table), len(other)):
            return i + _FIRST_ROW
        pairs = ((table[column][i].strip(), other[column][i].strip()) for column in columns)
        if any(a != b and not _same_number(a, b) for a, b in pairs):
            return i + _FIRST_ROW
    return None


def _same_number(a: str, b: str) -> bool:
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def _read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """A table as text, its empty cells as empty text."""
    read = pd.read_excel if path.suffix == ".xlsx" else pd.read_csv
    try:
        table = read(path, dtype=str, keep_default_na=False, na_filter=False)
    except Exception as error:  # pandas and openpyxl share no base class for damaged files
        raise UserError(f"{path} cannot be read as a table: {error}; use it as distributed") from error
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise UserError(f"{path}, row 1: no column {', '.join(missing)}; use the table as distributed")
    return table


def _numbers(cells: pd.Series[str], score: Score, missing: Sequence[str], faults: Faults) -> list[float]:
    """A column of scores; cells that hold none are NaN."""
    absent = cells.map(lambda cell: is_missing(cell, missing)).astype(bool)
    numbers = pd.to_numeric(cells, errors="coerce").mask(absent)
    for row in cells.index[~absent & ~numbers.between(score.low, score.high)]:
        faults.add(
            int(row) + _FIRST_ROW,
            f"{cells.name} {cells[row]!s} is no number of {score.low:g} to {score.high:g}; correct it, or "
            "name the code of a missing score in --missing",
        )
    return [float(number) for number in numbers]


def _check_unique(names: pd.Series[str], faults: Faults) -> None:
    first: dict[str, int] = {}
    for row, name in names.items():
        before = first.setdefault(name, int(str(row)))
        if before != row:
            faults.add(
                int(str(row)) + _FIRST_ROW,
                f"{name} is listed twice, first in row {before + _FIRST_ROW}; list it once",
            )


def _check_patients(folder: Path, scans: list[Scan], notes: list[str]) -> None:
    if len({scan.patient for scan in scans}) < 2:
        raise UserError(f"{folder}: fewer than two patients have usable scans ({'; '.join(notes)})")


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


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
            all((folder / plane).is_dir() for plane in PLANES) and bool(_oasis_tables(folder))
        ),
        read=read_oasis2,
    ),
}
"""Layouts by the name that ``--format`` takes."""
