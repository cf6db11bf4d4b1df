"""A phantom cohort as files: scans, ``manifest.csv`` and its sidecar."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

from learner_ray.cohort.sidecar import sidecar_path
from learner_ray.core.files import cache_root, write_atomic, write_json
from learner_ray.core.locks import locked_file
from learner_ray.core.modes import writing_to_cache
from learner_ray.core.seeding import random_key
from learner_ray.imaging.phantoms.patient import modality_of
from learner_ray.imaging.phantoms.processes import write_patients

VERSION = 2
"""Increased whenever the default cohort's files change."""


COLUMNS = ("path", "patient", "visit", "date", "score", "view", "site", "device")


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
    kind = modality_of(modality)
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
    modality_of(modality)
    root = cache_root() / "phantoms"
    folder = root / f"{modality}-v{VERSION}"
    if not folder.exists():
        with writing_to_cache():
            root.mkdir(exist_ok=True)
            with locked_file(folder.with_suffix(".lock")):
                if not folder.exists():
                    partial = folder.with_suffix(".partial")
                    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
                    write_phantom(modality, partial)
                    partial.rename(folder)
    return folder / "manifest.csv"
