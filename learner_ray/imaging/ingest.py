"""Decoding scans into a store, and hashing their files in the same pass.

A scan's files are read twice in a row, to hash and to decode them: the second time from memory. Pixels are
kept under the hash found in this pass, never under one that was remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from learner_ray.cohort.cohort import files_read
from learner_ray.cohort.content import Known, read_hash, remember, stamp_of
from learner_ray.core.errors import UserError
from learner_ray.imaging.analyze import stated_by_name
from learner_ray.imaging.decoder_pool import abandon, running
from learner_ray.imaging.decoders import read_scan
from learner_ray.imaging.decoding import may_pass
from learner_ray.imaging.errors import BadScan, ScanError
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.headers import kind_by_name
from learner_ray.imaging.looks import look_of
from learner_ray.imaging.pixel_store import PixelStore
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.imaging.reader import reader_version
from learner_ray.imaging.region_of_interest import RegionOfInterest
from learner_ray.imaging.shards import Entry, Pixels, ShardWriter

_MAX_THREADS = 8
_COMMIT_EVERY_S = 1.0
"""What a kill may cost at most, where the disk is fast."""
_ABANDON_EVERY_S = 0.02
_COMMIT_SHARE = 0.05
"""The largest part of an ingest's time that commits may take, however slow the disk."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the files of one scan hold."""

    entry: Entry | None
    """What the store keeps of it; None where the fault may be another one, or none, the next time: a file
    that could not be opened, say."""
    bad: BadScan | None
    """Why it cannot be read; None where it can."""
    contents: tuple[str, ...]
    """SHA-256 of each of its files, and of its mask; the empty string for one that could not be opened."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A scan as a thread hands it to the one that writes."""

    scan: str
    found: Found
    new: bool
    """Whether the store lacks its entry."""
    frames: Pixels | None
    """What was decoded just now."""
    files: dict[str, Known]
    """By path; those that could be opened."""


def scan_key(row: Any, contents: Sequence[str]) -> str:
    """The name of a scan's pixels in a store: what its files hold, and their suffixes, by which the reader is
    chosen. Where they lie and what the scan is called are no part of it, and no file is opened. Where one is,
    or may be, DICOM, its decoders are a part: installing one reads anew what could not be read without it. So
    are its crop and its mask, where it has them."""
    parts: list[Any] = [[Path(path).suffix for path in files_read(row)], list(contents)]
    kinds = [kind_by_name(path) for path in row.files]
    if row.crop or row.mask:
        parts.append({"crop": row.crop, "mask": bool(row.mask)})
    if "dicom" in kinds or "" in kinds:
        parts += [kinds, reader_version(["dicom"])]
        if len(row.files) > 1:
            parts.append("series")  # which earlier versions refused
    if oriented := [stated for path in row.files if (stated := stated_by_name(path))]:
        parts.append(oriented)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def found_in(store: PixelStore, row: Any, contents: Sequence[str]) -> Found | None:
    """What a store holds of a scan; None where it must be read.

    Args:
        store: the store.
        row: the scan, with the fields of ``Scan``.
        contents: SHA-256 of each of its files, and of its mask.
    """
    entry = store.find(scan_key(row, contents))
    if entry is None:
        return None
    bad = _bad(row, files_read(row)[entry.bad_file], entry.reason) if entry.reason else None
    return Found(entry=entry, bad=bad, contents=tuple(contents))


def ingest(
    scans: pd.DataFrame,
    store: PixelStore,
    *,
    geometry: Geometry,
    among: Sequence[str],
    most_gb: float,
    progress: Callable[[int], None],
) -> dict[str, Found]:
    """Reads scans and adds to a store those that it lacks. What is done is kept, however it ends.

    Memory holds the frames of a few scans: no thread decodes another one while the disk is behind.

    Args:
        scans: with the columns of ``Scan``.
        store: where their pixels go; it has the size of a frame.
        geometry: how frames are taken from a volume.
        among: all files of the cohort, whose hashes are remembered together.
        most_gb: GB of values that a scan may have.
        progress: called with the number of scans done.

    Returns:
        What was found, by scan id.

    Raises:
        UserError: a file was changed while it was read.
        StorageError: the disk is full.
    """
    found: dict[str, Found] = {}
    files: dict[str, Known] = {}
    due = time.perf_counter() + _COMMIT_EVERY_S
    reading = _read_all(scans, store, geometry, most_gb)
    # Closed at once, however it ends: a traceback would keep it, and its threads, alive.
    with running(), store.writing() as writer, closing(reading):
        try:
            for done, read in enumerate(reading, start=1):
                found[read.scan] = _keep(writer, read)
                files |= read.files
                if time.perf_counter() >= due:
                    due = _commit(writer, files, among)
                    files = {}
                progress(done)
        finally:
            remember(files, among)
    return found


def _keep(writer: ShardWriter, read: _Read) -> Found:
    if not read.new or read.found.entry is None:
        return read.found
    return replace(read.found, entry=writer.add(read.found.entry, read.frames))


def _commit(writer: ShardWriter, files: dict[str, Known], among: Sequence[str]) -> float:
    """Brings to disk what was read, and returns when to do so again."""
    begun = time.perf_counter()
    writer.commit()
    remember(files, among)
    now = time.perf_counter()
    return now + max(_COMMIT_EVERY_S, (now - begun) / _COMMIT_SHARE)


def _read_all(
    scans: pd.DataFrame, store: PixelStore, geometry: Geometry, most_gb: float
) -> Generator[_Read, None, None]:
    """Every scan, in order. Each thread hashes a scan's files and waits for a decoder."""
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[_Read]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for row in scans.itertuples(index=False):
            waiting.append(pool.submit(_read, row, store, geometry, most_gb))
            if len(waiting) > 2 * threads:  # as many decoded as being decoded
                yield waiting[0].result()
                waiting.popleft()
        while waiting:
            yield waiting[0].result()
            waiting.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in waiting):
            abandon()  # Ctrl-C does not wait for a file that takes minutes
            time.sleep(_ABANDON_EVERY_S)
        pool.shutdown()


def _read(row: Any, store: PixelStore, geometry: Geometry, most_gb: float) -> _Read:
    files: dict[str, Known] = {}
    frames = fault = kept = None
    try:
        for path in files_read(row):
            files[path] = _hashed(path)
        kept = found_in(store, row, [files[path].sha256 for path in files_read(row)])
        if kept is None:
            region = RegionOfInterest(row.crop, row.mask)
            frames = read_scan(row.files, store.size, geometry, region, most_gb)
    except ScanError as error:
        fault = error
    for path, known in files.items():
        _require_unchanged(path, known)
    return _Read(
        scan=str(row.scan),
        found=kept or _judged(row, files, frames, fault),
        new=kept is None,
        frames=frames,
        files=files,
    )


def _judged(row: Any, files: dict[str, Known], frames: Pixels | None, fault: ScanError | None) -> Found:
    """What is found of a scan that was read just now: its frames or a fault."""
    sources = files_read(row)
    contents = tuple(files[path].sha256 if path in files else "" for path in sources)
    entry = Entry(key=scan_key(row, contents))
    if frames is not None:
        return Found(entry=_described(entry, frames), bad=None, contents=contents)
    assert fault is not None
    bad = _bad(row, fault.path, fault.reason)
    if not all(contents) or fault.path not in sources or may_pass(fault):
        return Found(entry=None, bad=bad, contents=contents)
    entry = replace(entry, bad_file=sources.index(fault.path), reason=fault.reason)
    return Found(entry=entry, bad=bad, contents=contents)


def _bad(row: Any, path: str, reason: str) -> BadScan:
    return BadScan(scan=str(row.scan), source=str(row.source), row=int(row.row), path=path, reason=reason)


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


def _described(entry: Entry, frames: Pixels) -> Entry:
    """Exact statistics from the histogram: of the foreground, or of all pixels where none is bright."""
    counts = np.bincount(frames.ravel(), minlength=256).astype(np.float64)
    if counts[BACKGROUND + 1 :].any():
        counts[: BACKGROUND + 1] = 0
    values = np.arange(256)
    mean = float(np.average(values, weights=counts))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    return replace(entry, frames=len(frames), mean=mean, sd=max(sd, 1.0), look=look_of(frames))
