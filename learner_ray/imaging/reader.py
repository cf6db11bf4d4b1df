"""The reader of a scan, for every kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from learner_ray.imaging import dicom, picture, video, volume
from learner_ray.imaging.headers import check_kind, parts_of

VERSION = 1
"""Increased whenever a reader may give other pixels for the same file."""


def read_scan(files: Sequence[str], size: int, slices: int = 32) -> NDArray[np.uint8]:
    """All frames of a scan; several files are stacked in the order given, but for those that are one volume.

    Args:
        files: of videos, volumes, pictures or DICOM.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: a file is missing, damaged or of a kind that is not read.
    """
    return np.concatenate([_read_part(part, size, slices) for part in parts_of(tuple(map(str, files)))])


def _read_part(part: tuple[str, ...], size: int, slices: int) -> NDArray[np.uint8]:
    kinds = [check_kind(path) for path in part]
    if kinds[0] == "volume" or len(part) > 1:
        return volume.read_volume(part, size, slices)
    readers = {"video": video.read_video, "picture": picture.read_picture, "dicom": dicom.read_dicom}
    return readers[kinds[0]](part[0], size)


def reader_version(kinds: Iterable[str]) -> str:
    """The versions of the readers and of the libraries that pixels depend on, as one line.

    Args:
        kinds: the kinds of the scans, as ``kinds_of_scans`` gives them. Decoders of DICOM count only where
            scans are DICOM: installing them leaves what was read from other files as it is.
    """
    return _reader_version(any("dicom" in kind for kind in kinds))


@cache
def _reader_version(with_dicom: bool) -> str:
    versions = [f"learner_ray-{VERSION}"]
    packages = ["av", "decord", "nibabel", "pillow", "torch"]
    for package in packages + [*dicom.PACKAGES] * with_dicom:
        try:
            versions.append(f"{package}-{metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package}-none")
    return " ".join(versions)
