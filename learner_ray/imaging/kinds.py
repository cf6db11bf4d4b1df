"""The kinds of scans: what a run was trained on, and whether other scans are like it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from learner_ray.imaging.headers import file_kind


def kinds_of_scans(scans: pd.DataFrame) -> list[str]:
    """The kinds of some scans, sorted: ``video``, ``volume``, ``picture``, ``dicom``, or ``3 x picture`` for
    three files stacked into one scan."""
    return sorted({kind_of_scan(files) for files in scans["files"]})


def kind_of_scan(files: tuple[str, ...]) -> str:
    """The kind of a scan, as in :func:`kinds_of_scans`."""
    kinds = "+".join(sorted({file_kind(file) or Path(file).suffix for file in files}))
    return kinds if len(files) == 1 else f"{len(files)} x {kinds}"
