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
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.cohort import Cohort
from learner_ray.cohort.content import content_hashes
from learner_ray.errors import StorageError, UserError
from learner_ray.files import cache_root
from learner_ray.imaging.ingest import BadScan, Entry, ingest
from learner_ray.imaging.reader import reader_version
from learner_ray.paths import read_json

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class PixelCache:
    """A built cache, mapped read-only: cheap to open, and shared by all processes of a machine.

    Pickled it is the name of its folder, never the pixels.

    Attributes:
        folder: where it is.
        bad: what is wrong with each scan that was left out, by scan id.
        size: height and width of a frame in pixels.
    """

    def __init__(self, folder: Path) -> None:
        index = read_json(folder / "index.json", f"remove the folder {folder}: it is made again")
        self.folder = folder
        self.size = int(index["size"])
        self.bad = {bad["scan"]: BadScan(**bad) for bad in index["bad"]}
        self._entries = {scan: Entry(**entry) for scan, entry in index["scans"].items()}

    def __reduce__(self) -> tuple[type[PixelCache], tuple[Path]]:
        return type(self), (self.folder,)

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
        """Mean and SD of a scan's foreground: its pixels brighter than ``raster.BACKGROUND``."""
        entry = self._entries[scan]
        return entry.mean, entry.sd


def build_cache(
    cohort: Cohort,
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
        UserError: scans cannot be read (all are listed).
        StorageError: the disk is full.
    """
    root = cache_root() / "pixels" if root is None else root
    root.mkdir(parents=True, exist_ok=True)
    contents = _contents(cohort.scans)
    folder = root / _cache_key(cohort.scans, contents, size, slices)
    with _locked(folder.with_suffix(".lock")):
        if not folder.exists():
            with _published(folder) as partial:
                ingest(cohort.scans, contents, partial, size=size, slices=slices, progress=progress)
    cache = PixelCache(folder)
    good = len(cohort.scans) - len(cache.bad)
    if cache.bad and not (skip_bad and good):
        raise UserError(_complaint(list(cache.bad.values()), good))
    return cache


def _complaint(bad: Sequence[BadScan], good: int) -> str:
    remedy = (
        "mend or remove them, or leave them out with --skip-bad" if good else "no scan is left to work with"
    )
    lines = [f"{len(bad)} of {len(bad) + good} scans cannot be read:", *(f"  {scan}" for scan in bad), remedy]
    return "\n".join(lines)


def _contents(scans: pd.DataFrame) -> list[list[str]]:
    """The hash of each file of each scan; empty for one that cannot be opened, of which ``ingest`` tells."""
    readable = (path for files in scans["files"] for path in files if os.access(path, os.R_OK))
    hashes = content_hashes(readable)
    return [[hashes.get(path, "") for path in files] for files in scans["files"]]


def _cache_key(scans: pd.DataFrame, contents: list[list[str]], size: int, slices: int) -> str:
    suffixes = [[Path(path).suffix for path in files] for files in scans["files"]]
    text = json.dumps([scans["scan"].tolist(), contents, suffixes, size, slices, reader_version()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it, however it ends."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _published(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its final name once it is full, and is gone if it cannot be filled."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        yield partial
        _sync(partial)
        partial.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise StorageError(
            f"no room for the pixel cache in {folder.parent} ({error.strerror}): free some space, or name "
            "another folder in LEARNER_RAY_CACHE"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(folder: Path) -> None:
    """A new name survives a power failure only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
