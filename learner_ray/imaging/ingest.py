"""Decoding a cohort's scans into one flat file, and hashing their files in the same pass.

A scan's files are read twice in a row, to hash and to decode them: the second time from memory.
"""

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

from learner_ray.cohort.content import Known, read_hash, stamp_of
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_json
from learner_ray.imaging.errors import BadScan, ScanError
from learner_ray.imaging.kinds import kinds_of_scans
from learner_ray.imaging.looks import look_of
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.imaging.reader import read_scan, reader_version

_MAX_THREADS = 8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a scan's frames lie, and the statistics of its foreground."""

    offset: int
    """Position of the first byte in ``pixels.u8``."""
    shape: tuple[int, int, int]
    """(T, size, size)."""
    mean: float
    """Mean grey value of the foreground, 0 to 255."""
    sd: float
    """SD of the grey values of the foreground."""
    contents: Sequence[str]
    """SHA-256 of each of the scan's files."""
    look: str = ""
    """What is unusual about its frames, one of ``looks.LOOKS``; empty where nothing is."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What was found in the files of one scan."""

    scan: str
    frames: Pixels | None
    bad: BadScan | None
    files: dict[str, Known]
    """By path; those that could be opened."""
    contents: tuple[str, ...]


def ingest(
    scans: pd.DataFrame,
    folder: Path,
    *,
    size: int,
    slices: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Known]:
    """Write ``pixels.u8`` and ``index.json`` of some scans into a folder, in the scans' order.

    Args:
        scans: columns ``scan``, ``files``, ``source`` and ``row``.
        folder: exists, and is empty.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.
        progress: called with the number of scans done and of all.

    Returns:
        Stamp and hash of each file that could be opened, by path.

    Raises:
        UserError: a file was changed while it was read.
    """
    entries: dict[str, Entry] = {}
    bad: list[BadScan] = []
    files: dict[str, Known] = {}
    offset = 0
    with open(folder / "pixels.u8", "wb") as file:
        for done, read in enumerate(_read_all(scans, size, slices), start=1):
            files |= read.files
            if read.bad is not None:
                bad.append(read.bad)
            if read.frames is not None:
                file.write(read.frames.data)
                entries[read.scan] = _describe(read.frames, offset, read.contents)
                offset += read.frames.nbytes
            if progress is not None:
                progress(done, len(scans))
        file.flush()
        os.fsync(file.fileno())
    index = {
        "reader": reader_version(kinds_of_scans(scans)),
        "size": size,
        "scans": {scan: asdict(entry) for scan, entry in entries.items()},
        "bad": [asdict(each) for each in bad],
    }
    write_json(folder / "index.json", index)
    return files


def _read_all(scans: pd.DataFrame, size: int, slices: int) -> Iterator[_Read]:
    """Every scan, in order; decoders and hashing release Python's lock, so threads are enough."""
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda row: _read(row, size, slices), list(scans.itertuples(index=False)))


def _read(row: Any, size: int, slices: int) -> _Read:
    files: dict[str, Known] = {}
    frames = fault = None
    try:
        for path in row.files:
            files[path] = _hashed(path)
        frames = read_scan(row.files, size, slices)
    except ScanError as error:
        fault = error
    for path, known in files.items():
        _require_unchanged(path, known)
    contents = tuple(files[path].sha256 if path in files else "" for path in row.files)
    bad = None
    if fault is not None:
        bad = BadScan(
            scan=str(row.scan),
            source=str(row.source),
            row=int(row.row),
            path=fault.path,
            reason=fault.reason,
            contents=contents,
        )
    return _Read(scan=str(row.scan), frames=frames, bad=bad, files=files, contents=contents)


def _hashed(path: str) -> Known:
    try:
        return read_hash(path)
    except OSError as error:
        raise ScanError(path, f"cannot be opened ({error.strerror})") from error


def _require_unchanged(path: str, known: Known) -> None:
    """Pixels kept under the hash of other content would be found again by that hash."""
    try:
        now = stamp_of(path)
    except OSError:
        now = None
    if now is None or (now.size, now.mtime_ns) != (known.stamp.size, known.stamp.mtime_ns):
        raise UserError(
            f"{path} was changed while it was read: repeat the command when nothing writes to the data"
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
    look = look_of(frames)
    return Entry(offset=offset, shape=shape, mean=mean, sd=max(sd, 1.0), contents=contents, look=look)
