"""One patient of a phantom cohort: the course of the score, and the scans as files."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import av
import nibabel
import numpy as np

from learner_ray.cohort.score import MMSE, SF_RATIO, Score
from learner_ray.core.errors import UserError
from learner_ray.core.seeding import random_key
from learner_ray.imaging.phantoms.lus import FRAMES_PER_SECOND, lus_clip
from learner_ray.imaging.phantoms.mri import affine, mri_volume

_PATIENT_SD, _VISIT_SD = 0.06, 0.04
"""SDs by which the visible severity differs from the score: constant in a patient, and from visit to
visit."""

SITES = ("north", "south", "west")


@dataclass(frozen=True, kw_only=True)
class Modality:
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


def modality_of(name: str) -> Modality:
    """The phantom's modality of a name.

    Raises:
        UserError: there is no phantom of this modality.
    """
    if name not in MODALITIES:
        raise UserError(
            f"there is no phantom of modality {name!r}, only of {' and '.join(MODALITIES)}; give the data "
            "with --data"
        )
    return MODALITIES[name]


@dataclass(frozen=True, kw_only=True)
class PlannedVisit:
    """What is drawn of a visit before its scan."""

    number: int
    """From 1."""
    day: date
    score: int
    severity: float
    """What the scan shows, 0 to 1: it follows the score, but not exactly."""


@dataclass(frozen=True, kw_only=True)
class PlannedPatient:
    """What is drawn of a patient before the scans."""

    name: str
    site: int
    view: str
    visits: list[PlannedVisit]


def planned_patient(modality: str, number: int, visits: int, key: int) -> PlannedPatient:
    """A patient's course and what scans are to show of it."""
    kind = modality_of(modality)
    patient = f"P{number:03d}"
    draw = _generator(key, patient, "course")
    scores = _course(kind, visits, draw)
    when = date(2021, 1, 1) + timedelta(days=int(draw.integers(365)))
    site = int(draw.integers(len(SITES)))
    view = str(draw.choice(kind.views))
    offset = _PATIENT_SD * draw.standard_normal()
    planned = []
    for visit, score in enumerate(scores, start=1):
        severity = (kind.well - score) / (kind.well - kind.sick)
        severity += offset + _VISIT_SD * draw.standard_normal()
        shown = float(np.clip(severity, 0, 1))
        planned.append(PlannedVisit(number=visit, day=when, score=score, severity=shown))
        when += timedelta(days=int(draw.integers(*kind.days, endpoint=True)))
    return PlannedPatient(name=patient, site=site, view=view, visits=planned)


def write_scan(modality: str, path: Path, patient: str, visit: int, severity: float, key: int) -> None:
    """Writes the scan of a visit. Of another severity it differs by what that shows alone."""
    anatomy, moment = _generator(key, patient, "anatomy"), _generator(key, patient, visit)
    modality_of(modality).write(path, anatomy, moment, severity)


def write_patient(modality: str, folder: Path, number: int, visits: int, key: int) -> list[list[object]]:
    """Writes all scans of one patient; their rows of the manifest."""
    kind, planned = modality_of(modality), planned_patient(modality, number, visits, key)
    rows: list[list[object]] = []
    for visit in planned.visits:
        name = f"scans/{planned.name}_V{visit.number}{kind.suffix}"
        write_scan(modality, folder / name, planned.name, visit.number, visit.severity, key)
        place = [planned.view, SITES[planned.site], kind.devices[planned.site]]
        rows.append([name, planned.name, visit.number, visit.day, visit.score, *place])
    return rows


def _course(kind: Modality, visits: int, draw: np.random.Generator) -> list[int]:
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


MODALITIES = {
    "lus": Modality(
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
    "mri": Modality(
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
