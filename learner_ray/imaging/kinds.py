"""The kinds of scans: what a run was trained on, and whether other scans are like it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from learner_ray.imaging.headers import file_kind, parts_of


def kinds_of_scans(scans: pd.DataFrame) -> list[str]:
    """The kinds of some scans, sorted: ``video``, ``volume``, ``picture``, ``dicom``, or ``3 x picture`` for
    three files stacked into one scan. The slices of an MR series are one volume."""
    return sorted({kind_of_scan(files) for files in scans["files"]})


def kind_of_scan(files: tuple[str, ...]) -> str:
    """The kind of a scan, as in :func:`kinds_of_scans`."""
    parts = parts_of(files)
    kinds = "+".join(sorted({_kind_of_part(part) for part in parts}))
    return kinds if len(parts) == 1 else f"{len(parts)} x {kinds}"


def _kind_of_part(part: tuple[str, ...]) -> str:
    return "volume" if len(part) > 1 else file_kind(part[0]) or Path(part[0]).suffix
