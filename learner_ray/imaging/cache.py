"""The pixel cache: every scan decoded once, into files that all processes map.

A scan is kept by what its files hold and how they were read, and not by where they lie or what cohort they
belong to: one more scan decodes one, and what was decoded before a kill is found again. A cohort's cache is a
view of its scans in the store (``pixel_store``). A process that finds another one reading the same cohort
waits for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learner_ray.cohort import Cohort
from learner_ray.cohort.cohort import files_read
from learner_ray.cohort.content import content_hashes, last_known
from learner_ray.core.locks import locked_file
from learner_ray.core.modes import writing_to_cache
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.imaging.errors import unreadable
from learner_ray.imaging.frame_stack import FrameStack
from learner_ray.imaging.geometry import DEFAULT, Geometry
from learner_ray.imaging.ingest import Found, found_in, ingest
from learner_ray.imaging.pixel_store import PixelStore, pixel_folder
from learner_ray.imaging.reader import reader_version

_FORMAT = 3
"""Raised whenever a store is laid out otherwise: scans are then decoded anew."""


class PixelCache:
    """A cohort's decoded scans, mapped read-only: cheap to open, and shared by all processes of a machine.

    Args:
        store: has the entry of every scan that was found.
        found: what was found of each scan, by id, in the cohort's order.

    Attributes:
        size: height and width of a frame in pixels.
        bad: the scans that were left out and why, by scan id.
        looks: what is unusual about the frames of scans, one of ``looks.LOOKS``, by scan id.
        contents: SHA-256 of each file of each scan, by scan id; empty of a file that could not be opened.
    """

    def __init__(self, store: PixelStore, found: Mapping[str, Found]) -> None:
        self.size = store.size
        self.bad = {scan: of.bad for scan, of in found.items() if of.bad is not None}
        self.contents = {scan: of.contents for scan, of in found.items()}
        self._entries = {scan: of.entry for scan, of in found.items() if of.entry and of.bad is None}
        self._shards = {entry.shard: store.shard(entry.shard) for entry in self._entries.values()}
        self._numbers = {scan: number for number, scan in enumerate(self._entries)}
        self.looks = {scan: entry.look for scan, entry in self._entries.items() if entry.look}

    def __contains__(self, scan: object) -> bool:
        return scan in self._entries

    def frames(self, scan: str) -> NDArray[np.uint8]:
        """All frames of a scan, uint8 (T, size, size): a read-only view of the file."""
        entry = self._entries[scan]
        first = entry.offset // self.size**2
        return self._shards[entry.shard][first : first + entry.frames]

    @cached_property
    def all_frames(self) -> FrameStack:
        """The frames of all scans one after another, in the cohort's order: (F, size, size)."""
        numbers = {shard: number for number, shard in enumerate(self._shards)}
        places = [
            (numbers[entry.shard], entry.offset // self.size**2, entry.frames)
            for entry in self._entries.values()
        ]
        return FrameStack(list(self._shards.values()), places)

    def first(self, scan: str) -> int:
        """Where in ``all_frames`` a scan begins."""
        return int(self.all_frames.starts[self._numbers[scan]])

    def length(self, scan: str) -> int:
        """The number of frames of a scan."""
        return self._entries[scan].frames

    def statistics(self, scan: str) -> tuple[float, float]:
        """Mean and SD of a scan's foreground: its pixels brighter than ``raster.BACKGROUND``."""
        entry = self._entries[scan]
        return entry.mean, entry.sd


def build_cache(
    cohort: Cohort,
    size: int,
    *,
    geometry: Geometry = DEFAULT,
    root: Path | None = None,
    skip_bad: bool = False,
    most_gb: float = DEFAULT_SCAN_GB,
    progress: Callable[[int, int], None] | None = None,
) -> PixelCache:
    """Decodes those of a cohort's scans that were not decoded before, and opens all.

    Args:
        cohort: its ``scans`` are read; files in its ``contents`` are not hashed again.
        size: height and width of a frame in pixels.
        geometry: how frames are taken from a volume.
        root: folder of all decoded pixels; by default ``pixels`` in the user's cache folder.
        skip_bad: leave out scans that cannot be read instead of raising.
        most_gb: GB of values that a scan may have, where it is not decoded yet.
        progress: called with the number of scans done and of all, where any must be decoded.

    Raises:
        UserError: scans cannot be read (all are listed).
        StorageError: the disk is full.
    """
    if root is None:
        with writing_to_cache():
            return build_cache(
                cohort,
                size,
                geometry=geometry,
                root=pixel_folder(),
                skip_bad=skip_bad,
                most_gb=most_gb,
                progress=progress,
            )
    shown = [size, *astuple(geometry)]
    store = PixelStore(root / f"{size}px-{_digest([*shown, reader_version([]), _FORMAT])}", size)
    found = _held(cohort, store)
    if len(found) < len(cohort.scans):
        root.mkdir(parents=True, exist_ok=True)
        listing = _digest([cohort.scans["scan"].tolist(), cohort.paths, *shown])
        with locked_file(root / f"{listing}.lock"):
            store.load()  # whoever held the lock may have decoded them
            found = _held(cohort, store)
            report = progress or (lambda done, count: None)
            found |= _ingest_rest(cohort, store, found, geometry, most_gb, report)
    cache = PixelCache(store, {scan: found[scan] for scan in cohort.scans["scan"]})
    good = len(cohort.scans) - len(cache.bad)
    if cache.bad and not (skip_bad and good):
        raise unreadable(list(cache.bad.values()), good)
    return cache


def with_contents(cohort: Cohort, cache: PixelCache) -> Cohort:
    """The cohort with the hashes that its files had when they were decoded; of scans that the cache was not
    made of, those that were known."""
    rows: Iterable[Any] = cohort.scans.itertuples(index=False)
    known = [row for row in rows if row.scan in cache.contents]
    # The cache has no hash of a mask that was not used.
    pairs = [pair for row in known for pair in zip(files_read(row), cache.contents[row.scan], strict=False)]
    decoded = {path: sha256 for path, sha256 in pairs if sha256}
    others = cohort.contents if len(known) < len(cohort.scans) else {}
    return replace(cohort, contents={**others, **decoded})


def _held(cohort: Cohort, store: PixelStore) -> dict[str, Found]:
    """What the store holds of a cohort's scans, by id. Of a scan whose files were other ones when they were
    last read none is read here."""
    last = {**last_known(cohort.paths), **cohort.contents}
    likely = list(_found(cohort, store, last))
    unsure = {path for row, _ in likely for path in files_read(row)} - cohort.contents.keys()
    readable = [path for path in unsure if os.access(path, os.R_OK)]
    contents = {**content_hashes(readable, among=cohort.paths), **cohort.contents}
    return {str(row.scan): found for row, found in _found(cohort, store, contents)}


def _found(cohort: Cohort, store: PixelStore, contents: Mapping[str, str]) -> Iterator[tuple[Any, Found]]:
    """The scans that a store holds, of those whose files all have a hash in ``contents``."""
    rows: Iterable[Any] = cohort.scans.itertuples(index=False)
    for row in rows:
        files = files_read(row)
        if all(path in contents for path in files):
            found = found_in(store, row, [contents[path] for path in files])
            if found is not None:
                yield row, found


def _ingest_rest(
    cohort: Cohort,
    store: PixelStore,
    held: Mapping[str, Found],
    geometry: Geometry,
    most_gb: float,
    progress: Callable[[int, int], None],
) -> dict[str, Found]:
    rest = cohort.scans[~cohort.scans["scan"].isin(list(held))]
    count = len(cohort.scans)
    return ingest(
        rest,
        store,
        geometry=geometry,
        among=cohort.paths,
        most_gb=most_gb,
        progress=lambda done: progress(len(held) + done, count),
    )


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]
