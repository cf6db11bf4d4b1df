"""A phantom cohort as files: scans, ``manifest.csv`` and its sidecar."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import av
import nibabel
import numpy as np

from learner_ray.cohort.score import MMSE, SF_RATIO, Score
from learner_ray.cohort.sidecar import sidecar_path
from learner_ray.core.errors import UserError
from learner_ray.core.files import cache_root, write_atomic, write_json
from learner_ray.core.locks import locked_file
from learner_ray.core.seeding import random_key
from learner_ray.imaging.phantoms.lus import FRAMES_PER_SECOND, lus_clip
from learner_ray.imaging.phantoms.mri import affine, mri_volume
from learner_ray.imaging.phantoms.processes import write_patients

VERSION = 2
"""Increased whenever the default cohort's files change."""

COLUMNS = ("path", "patient", "visit", "date", "score", "view", "site", "device")
SITES = ("north", "south", "west")

_PATIENT_SD, _VISIT_SD = 0.06, 0.04
"""SDs by which the visible severity differs from the score: constant in a patient, and from visit to
visit."""


@dataclass(frozen=True, kw_only=True)
class _Modality:
    """How a score moves between the visits of one patient, and what is scanned."""

    score: Score
    sick: int
    """Score of severity 1; the course of a patient stays between this and ``well``."""
    well: int
    step_sd: float
    """SD of the change between two visits. About 0.4 of all pairs then stay within the score's threshold."""
    days: tuple[int, int]
    """Least and most days between two visits."""
    views: tuple[str, ...]
    devices: tuple[str, ...]
    suffix: str
    write: Callable[[Path, np.random.Generator, np.random.Generator, float], None]


def write_phantom(modality: str, folder: Path, *, patients: int = 36, visits: int = 4, seed: int = 0) -> Path:
    """Write a cohort of phantom scans.

    Scans, dates and scores follow from the arguments alone: on one machine the same files, byte for byte.

    Args:
        modality: ``lus`` for clips with an S/F ratio, or ``mri`` for volumes with an MMSE.
        folder: made where it does not exist.
        patients: two or more.
        visits: number of visits of every patient, with one scan each.
        seed: seed of all random draws.

    Returns:
        The manifest.

    Raises:
        UserError: there is no phantom of this modality.
    """
    kind = _modality(modality)
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    key = random_key("phantom", modality, seed)
    rows.writerows(write_patients(modality, folder, patients=patients, visits=visits, key=key))
    manifest = folder / "manifest.csv"
    described = {"name": f"{modality}-phantom", "modality": modality, "temporal": True, "phantom": True}
    write_json(sidecar_path(manifest), {**described, "score": kind.score.to_dict()})
    write_atomic(manifest, table.getvalue())
    return manifest


def phantom_cohort_path(modality: str) -> Path:
    """The manifest of the modality's default phantom cohort, made on first use in the cache folder.

    Raises:
        UserError: there is no phantom of this modality.
    """
    _modality(modality)
    root = cache_root() / "phantoms"
    folder = root / f"{modality}-v{VERSION}"
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        with locked_file(folder.with_suffix(".lock")):
            if not folder.exists():
                partial = folder.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
                write_phantom(modality, partial)
                partial.rename(folder)
    return folder / "manifest.csv"


def _modality(name: str) -> _Modality:
    if name not in _MODALITIES:
        raise UserError(
            f"there is no phantom of modality {name!r}, only of {' and '.join(_MODALITIES)}; give the data "
            "with --data"
        )
    return _MODALITIES[name]


def write_patient(modality: str, folder: Path, number: int, visits: int, key: int) -> list[list[object]]:
    """Writes all scans of one patient; their rows of the manifest."""
    kind = _modality(modality)
    patient = f"P{number:03d}"
    draw = _generator(key, patient, "course")
    scores = _course(kind, visits, draw)
    when = date(2021, 1, 1) + timedelta(days=int(draw.integers(365)))
    site = int(draw.integers(len(SITES)))
    view = str(draw.choice(kind.views))
    offset = _PATIENT_SD * draw.standard_normal()
    rows: list[list[object]] = []
    for visit, score in enumerate(scores, start=1):
        name = f"scans/{patient}_V{visit}{kind.suffix}"
        severity = (kind.well - score) / (kind.well - kind.sick)
        severity += offset + _VISIT_SD * draw.standard_normal()
        anatomy, moment = _generator(key, patient, "anatomy"), _generator(key, patient, visit)
        kind.write(folder / name, anatomy, moment, float(np.clip(severity, 0, 1)))
        rows.append([name, patient, visit, when, score, view, SITES[site], kind.devices[site]])
        when += timedelta(days=int(draw.integers(*kind.days, endpoint=True)))
    return rows


def _course(kind: _Modality, visits: int, draw: np.random.Generator) -> list[int]:
    """A patient's scores: a level anywhere in the range, then normal steps, turned back at its ends."""
    steps = np.concatenate(
        [[draw.uniform(kind.sick, kind.well)], kind.step_sd * draw.standard_normal(visits - 1)]
    )
    width = kind.well - kind.sick
    folded = np.abs((np.cumsum(steps) - kind.sick + width) % (2 * width) - width)
    return [round(float(score)) for score in kind.sick + folded]


def _generator(*parts: int | str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=random_key(*parts)))


def _write_clip(
    path: Path, patient: np.random.Generator, visit: np.random.Generator, severity: float
) -> None:
    frames = lus_clip(patient, visit, severity)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=FRAMES_PER_SECOND, options={"crf": "20", "threads": "1"}
        )
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode(None))


def _write_volume(
    path: Path, patient: np.random.Generator, visit: np.random.Generator, severity: float
) -> None:
    image = nibabel.Nifti1Image(mri_volume(patient, visit, severity), affine())
    image.header.set_xyzt_units("mm")
    # nibabel's own .gz holds the time of writing.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))


_MODALITIES = {
    "lus": _Modality(
        score=SF_RATIO,
        sick=100,
        well=470,
        step_sd=48,
        days=(1, 9),
        views=("L1", "L2", "L3", "R1", "R2", "R3"),
        devices=("convex A", "convex B", "convex C"),
        suffix=".mp4",
        write=_write_clip,
    ),
    "mri": _Modality(
        score=MMSE,
        sick=14,
        well=30,
        step_sd=2.9,
        days=(170, 700),
        views=("T1w",),
        devices=("1.5 T A", "1.5 T B", "3 T C"),
        suffix=".nii.gz",
        write=_write_volume,
    ),
}
