"""The pixel cache: every scan decoded once into one flat file that all processes map.

A folder per set of files, frame size and reader version holds ``pixels.u8``, the frames of all scans one
after the other, and ``index.json``. It is written under a temporary name and renamed, so that it is either
absent or whole; a process that finds another one building waits for it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.errors import UserError
from learner_ray.files import cache_root, write_json
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.imaging.reader import read_scan, reader_version

_LISTED = 50
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class HasScans(Protocol):
    """A cohort, of which the cache needs the scans alone."""

    @property
    def scans(self) -> pd.DataFrame:
        """One row per scan, with columns ``scan``, ``files`` (paths), ``source`` and ``row``."""
        ...


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
class _Entry:
    """Where a scan's frames lie, and the statistics of its foreground."""

    offset: int
    shape: tuple[int, int, int]
    mean: float
    sd: float
    content: str


class PixelCache:
    """A built cache, mapped read-only: cheap to open, and shared by all processes of a machine.

    Attributes:
        folder: where it is; hand this to other processes, not the object.
        bad: what is wrong with each scan that was left out, by scan id.
        size: height and width of a frame in pixels.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        self.folder = folder
        self.size = int(index["size"])
        self.bad = {bad["scan"]: BadScan(**bad) for bad in index["bad"]}
        self._entries = {
            scan: _Entry(**{**entry, "shape": tuple(entry["shape"])})
            for scan, entry in index["scans"].items()
        }

    @classmethod
    def open(cls, folder: Path | str) -> PixelCache:
        """The cache that ``build_cache`` left in a folder.

        Raises:
            UserError: there is none.
        """
        if not (Path(folder) / "index.json").is_file():
            raise UserError(f"{folder} holds no pixel cache; the command that made it builds it anew")
        return cls(Path(folder))

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return np.memmap(self.folder / "pixels.u8", np.uint8, mode="r")

    def __contains__(self, scan: object) -> bool:
        return scan in self._entries

    def frames(self, scan: str) -> NDArray[np.uint8]:
        """All frames of a scan, uint8 (T, size, size): a read-only view of the file."""
        entry = self._entries[scan]
        stop = entry.offset + int(np.prod(entry.shape))
        return self._pixels[entry.offset : stop].reshape(entry.shape)

    def length(self, scan: str) -> int:
        """Frames of a scan."""
        return self._entries[scan].shape[0]

    def statistics(self, scan: str) -> tuple[float, float]:
        """Mean and SD of a scan's foreground pixels, those brighter than ``raster.BACKGROUND``."""
        entry = self._entries[scan]
        return entry.mean, entry.sd


def build_cache(
    cohort: HasScans,
    size: int,
    *,
    slices: int = 32,
    root: Path | None = None,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PixelCache:
    """Decode a cohort's scans, or open the cache where that was done before.

    Args:
        cohort: its ``scans`` are read.
        size: height and width of a frame in pixels.
        slices: frames taken of a three-dimensional volume.
        root: folder of all caches; by default ``pixels`` in the user's cache folder.
        skip_bad: leave out scans that cannot be read instead of raising.
        progress: called with the number of scans done and of all.

    Raises:
        UserError: scans cannot be read (all are listed), or the disk is full.
    """
    root = cache_root() / "pixels" if root is None else root
    root.mkdir(parents=True, exist_ok=True)
    contents = [_content(files) for files in cohort.scans["files"]]
    folder = root / _cache_key(cohort, contents, size, slices)
    with _locked(folder.with_suffix(".lock")):
        if not folder.exists():
            _Build(folder, cohort, contents, size, slices).run(progress)
    cache = PixelCache(folder)
    good = len(cohort.scans) - len(cache.bad)
    if cache.bad and (not skip_bad or not good):
        raise UserError(_complaint(list(cache.bad.values()), good))
    return cache


def _complaint(bad: Sequence[BadScan], good: int) -> str:
    lines = [f"  {scan}" for scan in bad[:_LISTED]]
    if len(bad) > _LISTED:
        lines.append(f"  and {len(bad) - _LISTED} more")
    remedy = (
        "mend or remove them, or leave them out with --skip-bad" if good else "no scan is left to work with"
    )
    return "\n".join([f"{len(bad)} of {len(bad) + good} scans cannot be read:", *lines, remedy])


def _content(files: Sequence[str]) -> str:
    """SHA-256 over a scan's files; one that cannot be opened counts as its error."""
    digest = hashlib.sha256()
    for path in files:
        try:
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            digest.update(f"unreadable: {error.strerror}".encode())
        digest.update(b"\0end of file\0")
    return digest.hexdigest()


def _cache_key(cohort: HasScans, contents: Sequence[str], size: int, slices: int) -> str:
    scans = list(zip(cohort.scans["scan"].astype(str), contents, strict=True))
    suffixes = [[Path(path).suffix for path in files] for files in cohort.scans["files"]]
    text = json.dumps([scans, suffixes, size, slices, reader_version()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it, however it ends."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Build:
    """The making of one cache folder."""

    def __init__(
        self, folder: Path, cohort: HasScans, contents: Sequence[str], size: int, slices: int
    ) -> None:
        self.folder, self.size, self.slices = folder, size, slices
        self.scans = cohort.scans
        self.contents = contents
        self.entries: dict[str, _Entry] = {}
        self.bad: list[BadScan] = []

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        partial = self.folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir()
        try:
            self._write(partial, progress)
            partial.rename(self.folder)
            _sync(self.folder.parent)
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            raise UserError(
                f"no room for the pixel cache in {self.folder.parent} ({error.strerror}): free some "
                "space, or name another folder in LEARNER_RAY_CACHE"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _write(self, partial: Path, progress: Callable[[int, int], None] | None) -> None:
        offset = 0
        with open(partial / "pixels.u8", "wb") as file:
            for done, row in enumerate(self.scans.itertuples(index=False), start=1):
                frames = self._read(row)
                if frames is not None:
                    file.write(frames.data)
                    self.entries[str(row.scan)] = _describe(frames, offset, self.contents[done - 1])
                    offset += frames.nbytes
                if progress is not None:
                    progress(done, len(self.scans))
            if not offset:
                file.write(b"\0")  # an empty file cannot be mapped
            file.flush()
            os.fsync(file.fileno())
        index = {
            "reader": reader_version(),
            "size": self.size,
            "scans": {scan: asdict(entry) for scan, entry in self.entries.items()},
            "bad": [asdict(bad) for bad in self.bad],
        }
        write_json(partial / "index.json", index)

    def _read(self, row: Any) -> NDArray[np.uint8] | None:
        try:
            return read_scan(row.files, self.size, self.slices)
        except ScanError as error:
            path, reason = error.path, error.reason
        except OSError as error:
            path, reason = str(error.filename or row.files[0]), f"cannot be opened ({error.strerror})"
        self.bad.append(
            BadScan(scan=str(row.scan), source=str(row.source), row=int(row.row), path=path, reason=reason)
        )
        return None


def _describe(frames: NDArray[np.uint8], offset: int, content: str) -> _Entry:
    """Exact statistics from the histogram: of the foreground, or of all pixels where none is bright."""
    counts = np.bincount(frames.ravel(), minlength=256).astype(np.float64)
    if counts[BACKGROUND + 1 :].any():
        counts[: BACKGROUND + 1] = 0
    values = np.arange(256)
    mean = float(np.average(values, weights=counts))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    shape = (frames.shape[0], frames.shape[1], frames.shape[2])
    return _Entry(offset=offset, shape=shape, mean=mean, sd=max(sd, 1.0), content=content)


def _sync(folder: Path) -> None:
    """A renamed entry survives a power failure only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
