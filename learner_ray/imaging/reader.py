"""The reader of a scan, for every kind of file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from learner_ray.imaging import picture, video, volume
from learner_ray.imaging.headers import check_kind

VERSION = 1
"""Increased whenever a reader may give other pixels for the same file."""


def read_scan(files: Sequence[str], size: int, slices: int = 32) -> NDArray[np.uint8]:
    """All frames of a scan; several files are stacked in the order given.

    Args:
        files: video, NIfTI or picture files, distinguished by their suffix.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: a file is missing, damaged or of a kind that is not read.
    """
    return np.concatenate([_read_file(str(path), size, slices) for path in files])


def _read_file(path: str, size: int, slices: int) -> NDArray[np.uint8]:
    kind = check_kind(path)
    if kind == "volume":
        return volume.read_volume(path, size, slices)
    return video.read_video(path, size) if kind == "video" else picture.read_picture(path, size)


def reader_version() -> str:
    """The versions of the readers and of the libraries that pixels depend on, as one line."""
    versions = [f"learner_ray-{VERSION}"]
    for package in ("av", "decord", "nibabel", "pillow", "torch"):
        try:
            versions.append(f"{package}-{metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package}-none")
    return " ".join(versions)
