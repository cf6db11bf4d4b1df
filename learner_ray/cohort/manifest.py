"""Cohorts listed in a CSV or TSV file, one row per scan.

Columns: ``path`` (relative to the manifest's folder, or absolute), ``patient``, ``score``, and one or several
of ``visit``, ``date`` and ``day``; optionally ``view``, ``site``, ``device``, of the patient ``age``,
``sex``, ``education_years`` and ``spo2``, and ``rating``: what the scan itself was scored, where several of a
visit were; ``files``, of a scan in several files; ``crop`` and ``mask``, the part of it to use. Others are
ignored, and a note says so, but for those by which an import says where a score comes from. A row without a
score is left out, and a note says so too.

A visit label is read as ``learner_ray.cohort.labels`` describes. A date is ISO 8601, with a time where one
day has several visits; a day is a number, with a sign, of days since anything. Where there are dates they
give order and interval, else days, else labels; columns that state the same must agree. Without a ``visit``
column visits are called 1, 2, ... in order of their dates or days, so that no date leaves this file. What
holds for the whole cohort stands in the sidecar, see ``learner_ray.cohort.sidecar``.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.covariates import NAMES as COVARIATES
from learner_ray.cohort.covariates import read_covariates
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.left_out import with_import
from learner_ray.cohort.manifest_cells import TIMES, days_of, listed_files, number_of, part_seen
from learner_ray.cohort.missing import Listed, is_missing, without_score
from learner_ray.cohort.patients import check_spellings
from learner_ray.cohort.ratings import COLUMN as RATING
from learner_ray.cohort.ratings import read_ratings
from learner_ray.cohort.score import Score
from learner_ray.cohort.sidecar import read_sidecar
from learner_ray.cohort.table import Line, check_unique_columns, read_lines
from learner_ray.cohort.timing import Visit, moments
from learner_ray.cohort.unrecognised import about_table
from learner_ray.core.errors import UserError

REQUIRED = ("path", "patient", "score")
OPTIONAL = (*TIMES, "view", "site", "device", "files", "crop", "mask")
INFORMATION = ("flag", "scan_date", "score_date", "score_days", "score_rule", "score_row")
"""What an import says of a row: for a person, and not read."""
_FIRST_YEAR, _LAST_YEAR = 1925, 2099
"""Dates before or after are shifted ones, as de-identified data have, or mistyped."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One line of the manifest, parsed."""

    line: int
    files: tuple[str, ...]
    """Absolute paths."""
    named: str
    """Absolute path that the scan is called by."""
    visit: Visit
    score: float
    view: str
    site: str
    device: str
    crop: str
    mask: str


def read_manifest(path: Path, *, modality: str, missing: Sequence[str] = ()) -> Cohort:
    """The cohort that a manifest lists.

    Args:
        path: a ``.csv`` or ``.tsv`` file.
        modality: decides the score where no sidecar states one.
        missing: codes that stand for "no score", beside ``missing.ABSENT``.

    Raises:
        UserError: the manifest is faulty. All faults found are listed, with their rows.
    """
    sidecar = read_sidecar(path, modality=modality)
    faults = Faults(str(path))
    columns, lines = read_lines(path, faults)
    check_columns(path, columns, lines)
    unscored = dict.fromkeys(number for number, cells in lines if is_missing(cells["score"], missing))
    scored = [line for line in lines if line[0] not in unscored]
    rows, scans = _read(path, columns, scored, faults)
    _check_scores(rows, sidecar.score, faults)
    ratings = read_ratings(scored, sidecar.score, missing, faults)
    notes = without_score([*unscored], len(lines))
    if not scored:
        faults.add(0, "; ".join(["lists no scan", *notes]))
    elif len({row.visit.patient for row in rows}) == 1 and not faults:
        faults.add(0, "lists only one patient; pretraining compares patients, so list several")
    faults.raise_any()
    covariates, unread = read_covariates(scored)
    unused = [c for c in columns if c not in (*REQUIRED, *OPTIONAL, *COVARIATES, RATING, *INFORMATION)]
    notes += [f"columns not used: {', '.join(unused)}"] if unused else []
    notes += unread
    notes += _implausible_years(scored) if "date" in columns else []
    return Cohort(
        name=sidecar.name,
        modality=sidecar.modality,
        score=sidecar.score,
        scans=scan_table(replace(scan, **vars(covariates[scan.row])) for scan in scans),
        temporal=sidecar.temporal,
        phantom=sidecar.phantom,
        notes=tuple(notes),
        listed=_listed(path, lines, unscored, rows),
        ratings={scan.scan: ratings[scan.row] for scan in scans if scan.row in ratings},
    )


def _listed(path: Path, lines: Sequence[Line], unscored: Collection[int], rows: Sequence[_Row]) -> Listed:
    """What the manifest lists, together with what an import left out before."""
    patients = {cells["patient"].strip() for _, cells in lines} - {""}
    listed = Listed(
        scans=len(lines),
        patients=len(patients),
        left_out={"no score": len(unscored)} if unscored else {},
    )
    return with_import(listed, path, {name for row in rows for name in (*row.files, row.named)}, patients)


def read_unscored(path: Path) -> pd.DataFrame:
    """The scans that a manifest lists. Its scores, if any, are not read.

    Returns:
        one row per scan, with the columns of ``Scan``; ``score`` is NaN.

    Raises:
        UserError: the manifest is faulty. All faults found are listed, with their rows.
    """
    faults = Faults(str(path))
    found, lines = read_lines(path, faults)
    columns = [*(name for name in found if name != "score"), "score"]
    check_columns(path, columns, lines)
    _, scans = _read(path, columns, [(line, {**cells, "score": "0"}) for line, cells in lines], faults)
    if not lines:
        faults.add(0, "lists no scan")
    faults.raise_any()
    return scan_table(scans).assign(score=math.nan)


def check_columns(path: Path, columns: Sequence[str], lines: Sequence[Line]) -> None:
    """Refuses a table that is not a manifest.

    Raises:
        UserError: a column is missing or occurs twice.
    """
    lacking = [name for name in REQUIRED if name not in columns]
    if not any(name in columns for name in TIMES):
        lacking.append("visit, date or day")
    if lacking:
        raise UserError(about_table(path, columns, len(lines), lacking))
    check_unique_columns(path, columns, REQUIRED + OPTIONAL + COVARIATES)


def _read(
    path: Path, columns: Sequence[str], lines: Sequence[Line], faults: Faults
) -> tuple[list[_Row], list[Scan]]:
    """The rows that can be read, checked against each other, and their scans."""
    rows = [row for line in lines if (row := _parse(path, *line, faults)) is not None]
    check_spellings([(number, cells["patient"]) for number, cells in lines], faults)
    _check_repeats(rows, faults)
    _check_visits(rows, faults)
    return rows, _scans(path, rows, columns, moments([row.visit for row in rows], faults))


def _parse(path: Path, line: int, cells: dict[str, str], faults: Faults) -> _Row | None:
    """A row whose cells can all be read; what is wrong with any of them is noted."""
    values = {name: cells.get(name, "").strip() for name in REQUIRED + OPTIONAL}
    wrong = [f"{name} is empty; fill it in" for name in REQUIRED if not values[name]]
    named = os.path.abspath(path.parent / values["path"])
    files = listed_files(path.parent, values, named, wrong)
    crop, mask = part_seen(path.parent, values, wrong)
    score = number_of(values["score"])
    if values["score"] and score is None:
        hint = ", with a decimal point" if "," in values["score"] else ", or name the code in --missing"
        wrong.append(f"score {values['score']!r} is not a number: write it as one{hint}")
    days = days_of(values, cells, wrong)
    for fault in wrong:
        faults.add(line, fault)
    if wrong or score is None:
        return None
    return _Row(
        line=line,
        files=files,
        named=named,
        visit=Visit(row=line, patient=values["patient"], name=values["visit"], days=days),
        score=score,
        view=values["view"],
        site=values["site"],
        device=values["device"],
        crop=crop,
        mask=mask,
    )


def _implausible_years(lines: Sequence[Line]) -> list[str]:
    odd = [n for n, cells in lines if not _FIRST_YEAR <= int(cells["date"].strip()[:4]) <= _LAST_YEAR]
    if not odd:
        return []
    return [
        f"{len(odd)} dates lie before {_FIRST_YEAR} or after {_LAST_YEAR}, the first in row {odd[0]}: taken "
        "to be shifted for privacy, so only their differences are used"
    ]


def _check_repeats(rows: Sequence[_Row], faults: Faults) -> None:
    first: dict[str, _Row] = {}
    for row in rows:
        for file in row.files:
            before = first.setdefault(os.path.realpath(file), row)
            if before is not row:
                name = os.path.basename(file)
                faults.add(row.line, f"{name} is the file of row {before.line}; list each file once")


def _check_visits(rows: Sequence[_Row], faults: Faults) -> None:
    """A visit has one score."""
    visits: dict[tuple[str, str | float], _Row] = {}
    for row in rows:
        before = visits.setdefault((row.visit.patient, row.visit.name or row.visit.day), row)
        if before.score != row.score:
            faults.add(
                row.line,
                f"score {row.score:g} differs from {before.score:g} in row {before.line}, the same visit; "
                "give a visit one score",
            )


def _check_scores(rows: Sequence[_Row], score: Score, faults: Faults) -> None:
    for row in rows:
        if not score.low <= row.score <= score.high:
            faults.add(
                row.line,
                f"score {row.score:g} is outside {score.low:g} to {score.high:g}, the range of {score.name}; "
                "correct it, name a missing score's code in --missing, or state the score in the sidecar",
            )


def _scans(path: Path, rows: Sequence[_Row], columns: Sequence[str], found: Sequence[float]) -> list[Scan]:
    dated, named = "date" in columns or "day" in columns, "visit" in columns
    of_patient: dict[str, set[float]] = defaultdict(set)
    for row, moment in zip(rows, found, strict=True):
        of_patient[row.visit.patient].add(moment)
    ranks = {p: {m: float(i) for i, m in enumerate(sorted(of), 1)} for p, of in of_patient.items()}
    return [
        Scan(
            scan=scan,
            files=row.files,
            patient=row.visit.patient,
            visit=row.visit.name if named else f"{ranks[row.visit.patient][moment]:.0f}",
            order=ranks[row.visit.patient][moment] if dated else moment,
            day=moment - min(of_patient[row.visit.patient]) if dated else math.nan,
            score=row.score,
            view=row.view,
            site=row.site,
            device=row.device,
            crop=row.crop,
            mask=row.mask,
            source=str(path),
            row=row.line,
        )
        for row, moment, scan in zip(rows, found, _scan_ids(path, rows), strict=True)
    ]


def _scan_ids(path: Path, rows: Sequence[_Row]) -> list[str]:
    """A scan is called by its file's path below the manifest's folder.

    Where not all files lie there it is the path below the folder that all files share: so the manifest may be
    moved, and scans keep their ids, which seed what is random.
    """
    folder = str(path.parent.absolute())
    files = [row.named for row in rows]
    if files and os.path.commonpath([folder, *map(os.path.dirname, files)]) != folder:
        folder = os.path.commonpath([os.path.dirname(file) for file in files])
    return [Path(os.path.relpath(file, folder)).as_posix() for file in files]
