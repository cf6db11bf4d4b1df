"""One scan, whatever its files are."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from learner_ray.imaging import picture, video, volume
from learner_ray.imaging.errors import ScanError

VERSION = 1
"""Raised whenever a reader may give other pixels for the same file."""

SUPPORTED = (*video.SUFFIXES, *volume.SUFFIXES, *picture.SUFFIXES)


def read_scan(files: Sequence[str], size: int, slices: int = 32) -> NDArray[np.uint8]:
    """All frames of a scan; several files are stacked in the order given.

    Args:
        files: video, NIfTI or picture files, told apart by their suffix.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: a file is missing, damaged or of a kind that is not read.
    """
    return np.concatenate([_read_file(str(path), size, slices) for path in files])


def file_kind(path: str) -> str:
    """``volume``, ``video`` or ``picture``, by a file's suffix; empty where it is none that is read."""
    name = PurePath(path).name.lower()
    kinds = {"volume": volume.SUFFIXES, "video": video.SUFFIXES, "picture": picture.SUFFIXES}
    return next((kind for kind, suffixes in kinds.items() if name.endswith(suffixes)), "")


def _read_file(path: str, size: int, slices: int) -> NDArray[np.uint8]:
    try:
        open(path, "rb").close()
    except OSError as error:
        raise ScanError(path, f"cannot be opened ({error.strerror})") from error
    name = PurePath(path).name.lower()
    kind = file_kind(path)
    if kind == "volume":
        return volume.read_volume(path, size, slices)
    if kind == "video":
        return video.read_video(path, size)
    if kind == "picture":
        return picture.read_picture(path, size)
    remedy = "; convert DICOM with dcm2niix" if name.endswith((".dcm", ".ima")) else ""
    raise ScanError(path, f"is of no supported kind ({' '.join(SUPPORTED)}){remedy}")


def reader_version() -> str:
    """Our version and those of the libraries that pixels depend on."""
    versions = [f"learner_ray-{VERSION}"]
    for package in ("av", "decord", "nibabel", "pillow", "torch"):
        try:
            versions.append(f"{package}-{metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package}-none")
    return " ".join(versions)
