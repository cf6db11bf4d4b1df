"""The reader of a scan, for every kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from learner_ray.imaging import dicom, picture, video, volume
from learner_ray.imaging.headers import check_kind
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest

VERSION = 1
"""Increased whenever a reader may give other pixels for the same file."""


def read_scan(
    files: Sequence[str], size: int, slices: int = 32, region: RegionOfInterest = WHOLE
) -> NDArray[np.uint8]:
    """All frames of a scan; several files are stacked in the order given.

    Args:
        files: video, NIfTI, picture or DICOM files.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.
        region: what is to be seen of each file.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: a file is missing, damaged or of a kind that is not read, or its crop or mask does not fit.
    """
    return np.concatenate([_read_file(str(path), size, slices, region) for path in files])


def _read_file(path: str, size: int, slices: int, region: RegionOfInterest) -> NDArray[np.uint8]:
    kind = check_kind(path)
    if kind == "volume":
        return volume.read_volume(path, size, slices, region)
    readers = {"video": video.read_video, "picture": picture.read_picture, "dicom": dicom.read_dicom}
    return readers[kind](path, size, region)


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
