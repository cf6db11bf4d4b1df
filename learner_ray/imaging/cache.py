"""The pixel cache: every scan decoded once into one flat file that all processes map.

A folder per set of files, frame size and reader version holds ``pixels.u8``, the frames of all scans one
after the other, and ``index.json``. It is named by what the files hold and not by where they lie, written
under a temporary name and renamed, so that it is either absent or whole; a process that finds another one
building waits for it. Files that are new here are hashed in the pass that decodes them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learner_ray.cohort import Cohort
from learner_ray.cohort.content import content_hashes, last_known, remember
from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import cache_root, keep_names
from learner_ray.core.locks import locked_file
from learner_ray.core.paths import read_json
from learner_ray.imaging.errors import BadScan, unreadable
from learner_ray.imaging.ingest import Entry, ingest
from learner_ray.imaging.kinds import kinds_of_scans
from learner_ray.imaging.reader import reader_version

_FORMAT = 2
"""Raised whenever the index holds more: caches without it are built anew."""
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class PixelCache:
    """A built cache, mapped read-only: cheap to open, and shared by all processes of a machine.

    Pickled it is the name of its folder, never the pixels.

    Attributes:
        folder: where it is.
        bad: the scans that were left out and why, by scan id.
        looks: what is unusual about the frames of scans, one of ``looks.LOOKS``, by scan id.
        contents: SHA-256 of each file of each scan, by scan id; empty of a file that could not be opened.
        size: height and width of a frame in pixels.
    """

    def __init__(self, folder: Path) -> None:
        index = read_json(folder / "index.json", f"remove the folder {folder}: it is made again")
        self.folder = folder
        self.size = int(index["size"])
        self.bad = {bad["scan"]: BadScan(**bad) for bad in index["bad"]}
        self._entries = {scan: Entry(**entry) for scan, entry in index["scans"].items()}
        self.looks = {scan: entry.look for scan, entry in self._entries.items() if entry.look}
        self.contents = {scan: tuple(entry.contents) for scan, entry in self._entries.items()}
        self.contents |= {scan: tuple(bad.contents) for scan, bad in self.bad.items()}

    def __reduce__(self) -> tuple[type[PixelCache], tuple[Path]]:
        return type(self), (self.folder,)

    @classmethod
    def open(cls, folder: Path | str) -> PixelCache:
        """The cache that ``build_cache`` left in a folder.

        Raises:
            UserError: there is none.
        """
        if not (Path(folder) / "index.json").is_file():
            raise UserError(f"{folder} holds no pixel cache; repeat the command that made it")
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

    @property
    def all_frames(self) -> NDArray[np.uint8]:
        """The frames of all scans one after another, uint8 (F, size, size): a read-only view of the file."""
        return self._pixels.reshape(-1, self.size, self.size)

    def first(self, scan: str) -> int:
        """Where in ``all_frames`` a scan begins."""
        return self._entries[scan].offset // self.size**2

    def length(self, scan: str) -> int:
        """The number of frames of a scan."""
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
        cohort: its ``scans`` are read; files in its ``contents`` are not hashed again.
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
    folder = _find(cohort, size, slices, root)
    if folder is None:
        listing = root / _digest([cohort.scans["scan"].tolist(), cohort.paths, size, slices])
        with locked_file(listing.with_suffix(".lock")):
            # Whoever held the lock may have built it.
            folder = _find(cohort, size, slices, root)
            if folder is None:
                folder = _build(cohort, size, slices, listing.with_suffix(".partial"), progress)
    cache = PixelCache(folder)
    good = len(cohort.scans) - len(cache.bad)
    if cache.bad and not (skip_bad and good):
        raise unreadable(list(cache.bad.values()), good)
    return cache


def with_contents(cohort: Cohort, cache: PixelCache) -> Cohort:
    """The cohort with the hashes that its files had when they were decoded."""
    rows = zip(cohort.scans["scan"], cohort.scans["files"], strict=True)
    pairs = [pair for scan, files in rows for pair in zip(files, cache.contents[scan], strict=True)]
    return replace(cohort, contents={path: sha256 for path, sha256 in pairs if sha256})


def _find(cohort: Cohort, size: int, slices: int, root: Path) -> Path | None:
    """The cache of these very contents. Where none of what the files last held is there, nothing is read."""
    last = {**last_known(cohort.paths), **cohort.contents}
    if not last.keys() >= set(cohort.paths) or not (root / _key(cohort, last, size, slices)).exists():
        return None
    unsure = [path for path in cohort.paths if path not in cohort.contents]
    if not all(os.access(path, os.R_OK) for path in unsure):
        return None
    contents = {**content_hashes(unsure, among=cohort.paths), **cohort.contents}
    folder = root / _key(cohort, contents, size, slices)
    return folder if folder.exists() else None


def _build(
    cohort: Cohort, size: int, slices: int, partial: Path, progress: Callable[[int, int], None] | None
) -> Path:
    with _filled(partial):
        known = ingest(cohort.scans, partial, size=size, slices=slices, progress=progress)
        contents = {path: of.sha256 for path, of in known.items()}
        folder = partial.with_name(_key(cohort, contents, size, slices))
        keep_names(partial)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # there it may be, of the same files in another place
                raise
        keep_names(folder.parent)
    remember(known, among=cohort.paths)
    return folder


def _key(cohort: Cohort, contents: Mapping[str, str], size: int, slices: int) -> str:
    scans = cohort.scans
    held = [[contents.get(path, "") for path in files] for files in scans["files"]]
    suffixes = [[Path(path).suffix for path in files] for files in scans["files"]]
    return _digest(
        [scans["scan"].tolist(), held, suffixes, size, slices, reader_version(kinds_of_scans(scans)), _FORMAT]
    )


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]


@contextmanager
def _filled(partial: Path) -> Iterator[None]:
    """A folder to fill and rename, which is gone if that cannot be."""
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise StorageError(
            f"no room for the pixel cache in {partial.parent} ({error.strerror}): free some space, or name "
            "another folder in LEARNER_RAY_CACHE"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
