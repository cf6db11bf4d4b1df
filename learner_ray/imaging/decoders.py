"""Reads scans, and their headers, in processes of their own (``decoder_pool``): what a damaged file does to a
decoder is a fault of one scan.

Any thread may read; each read has a process to itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.imaging import decoder_pool
from learner_ray.imaging.decoder_process import HEADERS, PIXELS
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest

if TYPE_CHECKING:  # PyTorch comes with it, which headers do not need
    from learner_ray.imaging.geometry import Geometry


def read_scan(
    files: Sequence[str],
    size: int,
    geometry: Geometry | None = None,
    region: RegionOfInterest = WHOLE,
    most_gb: float = DEFAULT_SCAN_GB,
) -> NDArray[np.uint8]:
    """All frames of a scan, as ``reader.read_scan``; no file can end this process.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: as there; or the decoder died, or needed more than ``decoder_pool.TIME_LIMIT_S``.
        PlaceError: there can be no decoder.
    """
    shown = asdict(geometry) if geometry else {}
    request = _request(files, region, most_gb) | {"size": size, "geometry": shown}
    return np.frombuffer(_answer(PIXELS, request), np.uint8).reshape(-1, size, size)


def check_scan(
    files: Sequence[str], region: RegionOfInterest = WHOLE, most_gb: float = DEFAULT_SCAN_GB
) -> None:
    """Reads the headers of a scan's files, and whether its crop and mask fit.

    Raises:
        ScanError, PlaceError: as :func:`read_scan`, as far as headers tell.
    """
    _answer(HEADERS, _request(files, region, most_gb))


def _request(files: Sequence[str], region: RegionOfInterest, most_gb: float) -> dict[str, Any]:
    most = None if math.isinf(most_gb) else most_gb  # JSON has no infinity
    folder = ""  # a decoder may have begun in another than this process is in by now
    with suppress(FileNotFoundError):
        folder = os.getcwd()
    return {"files": list(map(str, files)), "folder": folder, "region": asdict(region), "most_gb": most}


def _answer(kind: int, request: dict[str, Any]) -> bytearray:
    told, frames = decoder_pool.ask(kind, request)
    if "reason" in told:
        raise ScanError(told["path"], told["reason"], may_pass=told["may_pass"])
    return frames
