"""OASIS-2 as mid-slices (Marcus et al. 2010, doi 10.1162/jocn.2009.21407): MRI of repeated sessions.

Its folder holds ``axl/``, ``cor/`` and ``sag/`` with one NIfTI slice per MRI session, and
``oasis_longitudinal*.csv`` or ``.xlsx``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import Listed, without_score
from learner_ray.cohort.patients import check_spellings
from learner_ray.cohort.score import MMSE
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.cohort.sources.importer import LeftOut
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
from learner_ray.cohort.timing import Visit, moments
from learner_ray.cohort.unrecognised import count_kinds
from learner_ray.core.errors import UserError

PLANES = ("axl", "cor", "sag")
COVARIATES = {"age": ("Age",), "sex": ("M/F", "Sex"), "education_years": ("EDUC",)}
"""What the sessions' table calls them, as distributed or tidied up."""


class Oasis2(SourceLayout):
    """One scan per MRI session, its three planes stacked."""

    name = "oasis2"
    needs = "axl/, cor/, sag/ and oasis_longitudinal*.csv or .xlsx"

    def recognises(self, folder: Path) -> bool:
        return all((folder / plane).is_dir() for plane in PLANES) and bool(session_tables(folder))

    def read(self, folder: Path, missing: Sequence[str] = ()) -> Cohort:
        path, table = session_table(folder)
        sessions = table["MRI ID"].str.strip()
        faults = Faults(str(path))
        check_unique(sessions, faults)
        mmse = numbers(table["MMSE"], MMSE, missing, faults)
        visit, day = (pd.to_numeric(table[column], errors="coerce") for column in ("Visit", "MR Delay"))
        for row in table.index[visit.isna() | day.isna()]:
            faults.add(int(row) + FIRST_ROW, "Visit and MR Delay must be numbers; correct them")
        subjects = table["Subject ID"].str.strip()
        check_spellings(zip(table.index + FIRST_ROW, subjects, strict=True), faults)
        faults.raise_any()
        told = [
            Visit(
                row=i + FIRST_ROW, patient=subjects[i], name=f"{visit[i]:g}", days={"MR Delay": float(day[i])}
            )
            for i in table.index
        ]
        moments(told, faults)
        faults.raise_any()
        files = [_planes(folder, session) for session in sessions]
        covariates, unread = covariates_of(table, COVARIATES, missing)
        scans = [
            Scan(
                scan=session,
                files=files[i],
                patient=subjects[i],
                visit=f"{visit[i]:g}",
                order=float(visit[i]),
                day=float(day[i]),
                score=mmse[i],
                **vars(covariates[i]),
                source=str(path),
                row=i + FIRST_ROW,
            )
            for i, session in enumerate(sessions)
            if files[i] and not math.isnan(mmse[i])
        ]
        incomplete = sum(not of for of in files)
        unrated = [i + FIRST_ROW for i, score in enumerate(mmse) if files[i] and math.isnan(score)]
        notes = [f"sessions are listed in {path.name}"]
        notes += left_out(incomplete, len(table), f"sessions left out: lacking one of {', '.join(PLANES)}")
        notes += without_score(unrated, len(table), "sessions")
        notes += [*unread, *_foreign_planes(folder, files)]
        check_patients(folder, scans, notes)
        lacking = {f"lacking one of {', '.join(PLANES)}": incomplete, "no score": len(unrated)}
        return Cohort(
            name="OASIS-2",
            modality="mri",
            score=MMSE,
            scans=scan_table(scans),
            notes=tuple(notes),
            listed=Listed(
                scans=len(table),
                patients=len(set(subjects)),
                left_out={why: count for why, count in lacking.items() if count},
            ),
        )

    def left_out(self, folder: Path, missing: Sequence[str] = ()) -> list[LeftOut]:
        path, table = session_table(folder)
        mmse = numbers(table["MMSE"], MMSE, missing, Faults(str(path)))
        found = []
        for i, session in enumerate(table["MRI ID"].str.strip()):
            reason = f"lacking one of {', '.join(PLANES)}"
            if _planes(folder, session):
                reason = "no score: MMSE is missing" if math.isnan(mmse[i]) else ""
            if reason:
                where, subject = f"{path}, row {i + FIRST_ROW}", table["Subject ID"][i].strip()
                found.append(LeftOut(path=where, patient=subject, visit=table["Visit"][i], reason=reason))
        return found


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
    foreign = [p for plane in PLANES for p in visible(folder / plane) if str(p.absolute()) not in used]
    return [f"not used in {', '.join(PLANES)}: {count_kinds(iter(foreign))}"] if foreign else []


def session_tables(folder: Path) -> list[Path]:
    """The files in a folder that are named as the table of OASIS-2."""
    return [
        path for suffix in ("csv", "xlsx") for path in sorted(folder.glob(f"oasis_longitudinal*.{suffix}"))
    ]


def session_table(folder: Path) -> tuple[Path, pd.DataFrame]:
    """The sessions' table and its path; a workbook beside a CSV must hold the same.

    Raises:
        UserError: there is none, there are two of one kind, or the two differ.
    """
    found = session_tables(folder)
    if not found:
        raise UserError(f"{folder} holds no oasis_longitudinal*.csv or .xlsx; put the table there")
    kinds = Counter(path.suffix for path in found)
    names = " and ".join(path.name for path in found)
    if max(kinds.values()) > 1:
        raise UserError(f"{folder} holds {names}: it is not clear which one lists the sessions; keep one")
    needed = ("Subject ID", "MRI ID", "Visit", "MR Delay", "MMSE")
    table, *others = [read_table(path, needed) for path in found]
    for other in others:
        row = _first_difference(table, other, needed)
        if row is not None:
            raise UserError(f"{folder} holds {names}, which differ from row {row} on; keep one")
    return found[0], table


def _first_difference(table: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str]) -> int | None:
    """The first row in which two tables say different things, numbers by their value."""
    for i in range(max(len(table), len(other))):
        if i >= min(len(table), len(other)):
            return i + FIRST_ROW
        pairs = ((table[column][i].strip(), other[column][i].strip()) for column in columns)
        if any(a != b and not _same(a, b) for a, b in pairs):
            return i + FIRST_ROW
    return None


def _same(a: str, b: str) -> bool:
    try:
        return float(a) == float(b)
    except ValueError:
        return False
