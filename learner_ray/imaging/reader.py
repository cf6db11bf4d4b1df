"""The reader of a scan, for every kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.imaging import dicom, picture, video, volume
from learner_ray.imaging.dicom_pixels import PACKAGES
from learner_ray.imaging.geometry import DEFAULT, Geometry
from learner_ray.imaging.headers import check_header, check_kinds, parts_of
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest

VERSION = 2
"""Increased whenever a reader may give other pixels for the same file."""


def read_scan(
    files: Sequence[str],
    size: int,
    geometry: Geometry = DEFAULT,
    region: RegionOfInterest = WHOLE,
    most_gb: float = DEFAULT_SCAN_GB,
) -> NDArray[np.uint8]:
    """All frames of a scan; several files are stacked in the order given, but for those that are one volume.

    Args:
        files: of videos, volumes, pictures or DICOM.
        size: height and width of a frame in pixels.
        geometry: how frames are taken from a volume, and how large a pixel is.
        region: what is to be seen of each file.
        most_gb: GB of values that may be held at a time.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: a file is missing, damaged or of a kind that is not read, or its crop or mask does not fit,
            or there are more values.
    """
    parts = parts_of(tuple(map(str, files)))
    for part in parts:
        check_header(part, most_gb)
    return np.concatenate([_read_part(part, size, geometry, region) for part in parts])


def _read_part(
    part: tuple[str, ...], size: int, geometry: Geometry, region: RegionOfInterest
) -> NDArray[np.uint8]:
    kinds = check_kinds(part)
    kind, path = kinds[0], part[0]
    if kind == "volume" or len(part) > 1:
        return volume.read_volume(part, size, geometry, region)
    if kind == "dicom":
        return dicom.read_dicom(path, size, geometry, region)
    geometry.require_mm(path, None)
    read = video.read_video if kind == "video" else picture.read_picture
    return read(path, size, region)


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
    for package in packages + [*PACKAGES] * with_dicom:
        try:
            versions.append(f"{package}-{metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package}-none")
    return " ".join(versions)
