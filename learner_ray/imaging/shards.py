"""Shards, the files that hold the decoded frames of scans, each with a journal of what it holds.

A shard is ``NAME.u8``, frames one after the other, and ``NAME.jsonl``, a line of JSON for each scan in it. It
is large, since network file systems are slow at opening thousands of small files. One process writes it and
nobody adds to it later, so that processes and nodes cannot disturb each other even where their file system
has no locks. A line is written when its frames are on disk: after a kill or a power cut every whole line is
true, and what follows the last one is ignored.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from learner_ray.core.files import keep_names
from learner_ray.core.locks import mark_in_use

PIXELS, JOURNAL = ".u8", ".jsonl"
"""Endings of a shard's two files."""

LARGEST_BYTES = 2**30
"""A shard that has grown to this is closed: it is removed as a whole."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is kept of one scan: where its frames lie, or why it cannot be read."""

    key: str
    """Names what its files hold and how they were read."""
    shard: str = ""
    """Name of its shard, without ending."""
    offset: int = 0
    """Position of its first byte in the shard."""
    frames: int = 0
    """Number of its frames; 0 where it cannot be read."""
    mean: float = 0.0
    """Mean grey value of the foreground, 0 to 255."""
    sd: float = 1.0
    """SD of the grey values of the foreground."""
    look: str = ""
    """What is unusual about its frames, one of ``looks.LOOKS``; empty where nothing is."""
    bad_file: int = 0
    """Which of its files cannot be read, from 0."""
    reason: str = ""
    """Why that cannot be read; empty of a scan that can."""


_KEPT = [field.name for field in fields(Entry) if field.name != "shard"]


class ShardWriter:
    """Writes scans into shards of its own, a new one whenever one has grown large.

    Attributes:
        written: what was added, by key.
    """

    def __init__(self, folder: Path) -> None:
        self.written: dict[str, Entry] = {}
        self._folder = folder
        self._shard: _OpenShard | None = None

    def add(self, entry: Entry, frames: Pixels | None) -> Entry:
        """Adds a scan, unless one with its key was added before; it is kept from the next commit on.

        Args:
            entry: describes it; shard and offset are filled in.
            frames: uint8 (T, size, size); None where it cannot be read.
        """
        if entry.key not in self.written:
            if self._shard is not None and self._shard.bytes >= LARGEST_BYTES:
                self.close()
            self._shard = self._shard or _OpenShard(self._folder)
            self.written[entry.key] = self._shard.add(entry, frames)
        return self.written[entry.key]

    def commit(self) -> None:
        """Brings all that was added to disk."""
        if self._shard is not None:
            self._shard.commit()

    def close(self) -> None:
        """Commits, and ends the shard."""
        if self._shard is not None:
            self._shard.commit()
            self._shard.close()
        self._shard = None

    def discard(self) -> None:
        """Removes the shard that was being written."""
        if self._shard is None:
            return
        self._shard.remove()
        self.written = {key: of for key, of in self.written.items() if of.shard != self._shard.name}
        self._shard = None


class _OpenShard:
    """A shard that is being written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = secrets.token_hex(8)
        self.bytes = 0
        self._path = folder / self.name
        self._lines: list[bytes] = []
        self._pixels = open(self._path.with_suffix(PIXELS), "xb")  # noqa: SIM115, closed by close
        mark_in_use(self._pixels)
        self._journal = open(self._path.with_suffix(JOURNAL), "xb")  # noqa: SIM115
        keep_names(folder)

    def add(self, entry: Entry, frames: Pixels | None) -> Entry:
        entry = replace(entry, shard=self.name, offset=self.bytes)
        if frames is not None:
            self._pixels.write(np.ascontiguousarray(frames).data)
            self.bytes += frames.nbytes
        values = asdict(entry)
        self._lines.append(json.dumps({name: values[name] for name in _KEPT}).encode() + b"\n")
        return entry

    def commit(self) -> None:
        """The frames first, and then the lines that name them."""
        if self._lines:
            _to_disk(self._pixels)
            self._journal.writelines(self._lines)
            _to_disk(self._journal)
            self._lines = []

    def close(self) -> None:
        self._pixels.close()
        self._journal.close()

    def remove(self) -> None:
        for stream, ending in ((self._journal, JOURNAL), (self._pixels, PIXELS)):
            with suppress(OSError):  # what it could not write it cannot write at its end
                stream.close()
            self._path.with_suffix(ending).unlink(missing_ok=True)


def _to_disk(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def read_journal(journal: Path) -> Iterator[Entry]:
    """The entries of a journal; a line that a kill or a full disk has cut off is none.

    Raises:
        OSError: it cannot be read.
    """
    *lines, _ = journal.read_bytes().split(b"\n")
    for line in lines:
        with suppress(ValueError, TypeError):
            yield Entry(shard=journal.stem, **json.loads(line))
