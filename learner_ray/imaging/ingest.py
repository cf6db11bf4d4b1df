"""Decoding a cohort's scans into one flat file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.files import write_json
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.imaging.reader import read_scan, reader_version

_MAX_THREADS = 8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class BadScan:
    """A scan that cannot be read: where it is listed, which file, and why."""

    scan: str
    source: str
    row: int
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, row {self.row}: {self.path} {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a scan's frames lie, and the statistics of its foreground."""

    offset: int
    shape: tuple[int, int, int]
    mean: float
    sd: float
    contents: Sequence[str]
    """SHA-256 of each of the scan's files."""


def ingest(
    scans: pd.DataFrame,
    contents: Sequence[Sequence[str]],
    folder: Path,
    *,
    size: int,
    slices: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write ``pixels.u8`` and ``index.json`` of some scans into a folder, in the scans' order.

    Args:
        scans: columns ``scan``, ``files``, ``source`` and ``row``.
        contents: the hash of each file of each scan.
        folder: exists, and is empty.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.
        progress: called with the number of scans done and of all.
    """
    entries: dict[str, Entry] = {}
    bad: list[BadScan] = []
    offset = 0
    with open(folder / "pixels.u8", "wb") as file:
        for done, (scan, frames) in enumerate(_read_all(scans, size, slices), start=1):
            if isinstance(frames, BadScan):
                bad.append(frames)
            else:
                file.write(frames.data)
                entries[scan] = _describe(frames, offset, contents[done - 1])
                offset += frames.nbytes
            if progress is not None:
                progress(done, len(scans))
        file.flush()
        os.fsync(file.fileno())
    index = {
        "reader": reader_version(),
        "size": size,
        "scans": {scan: asdict(entry) for scan, entry in entries.items()},
        "bad": [asdict(each) for each in bad],
    }
    write_json(folder / "index.json", index)


def _read_all(scans: pd.DataFrame, size: int, slices: int) -> Iterator[tuple[str, Pixels | BadScan]]:
    """Every scan's id and frames, in order; decoders release Python's lock, so threads are enough."""
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        rows = list(scans.itertuples(index=False))
        yield from pool.map(lambda row: (str(row.scan), _read(row, size, slices)), rows)


def _read(row: Any, size: int, slices: int) -> Pixels | BadScan:
    try:
        return read_scan(row.files, size, slices)
    except ScanError as error:
        return BadScan(
            scan=str(row.scan),
            source=str(row.source),
            row=int(row.row),
            path=error.path,
            reason=error.reason,
        )


def _describe(frames: Pixels, offset: int, contents: Sequence[str]) -> Entry:
    """Exact statistics from the histogram: of the foreground, or of all pixels where none is bright."""
    counts = np.bincount(frames.ravel(), minlength=256).astype(np.float64)
    if counts[BACKGROUND + 1 :].any():
        counts[: BACKGROUND + 1] = 0
    values = np.arange(256)
    mean = float(np.average(values, weights=counts))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    shape = (frames.shape[0], frames.shape[1], frames.shape[2])
    return Entry(offset=offset, shape=shape, mean=mean, sd=max(sd, 1.0), contents=contents)
