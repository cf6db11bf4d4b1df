"""A store of decoded scans: a folder of shards that were written by one reader, at one frame size."""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from learner_ray.core.errors import StorageError
from learner_ray.core.files import cache_root
from learner_ray.core.locks import mark_in_use
from learner_ray.imaging.shards import JOURNAL, PIXELS, Entry, Pixels, ShardWriter, read_journal

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_STAMP_EVERY_S = 3600.0


def pixel_folder() -> Path:
    """The folder of all decoded pixels of this user."""
    return cache_root() / "pixels"


class PixelStore:
    """The shards of one frame size and reader, as they were when they were last loaded.

    Args:
        folder: holds them; need not exist.
        size: height and width of a frame in pixels.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._entries: dict[str, Entry] = {}
        self._mapped: dict[str, Pixels] = {}
        self.load()

    def load(self) -> None:
        """Reads the journals of all shards."""
        self._mapped.clear()  # a shard that another process writes has grown since
        for journal in sorted(self.folder.glob(f"*{JOURNAL}")):
            with suppress(FileNotFoundError):  # removed a moment ago
                self._entries |= {entry.key: entry for entry in read_journal(journal)}

    def find(self, key: str) -> Entry | None:
        """What is kept of a scan; its shard is mapped, and so in use, from here on."""
        entry = self._entries.get(key)
        if entry is None or entry.reason:
            return entry
        try:
            mapped = self.shard(entry.shard).nbytes
        except FileNotFoundError:
            return None
        return entry if entry.offset + entry.frames * self.size**2 <= mapped else None

    def shard(self, name: str) -> Pixels:
        """All frames of a shard, uint8 (F, size, size): a read-only map of its file.

        Raises:
            FileNotFoundError: it was removed.
        """
        if name not in self._mapped:
            path = self.folder / f"{name}{PIXELS}"
            with open(path, "rb") as stream:
                if not mark_in_use(stream):  # for as long as the map lasts, which has the file open too
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
                if not os.fstat(stream.fileno()).st_size:
                    return np.empty((0, self.size, self.size), np.uint8)
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            frames = len(mapped) // self.size**2
            flat = np.frombuffer(mapped, np.uint8, frames * self.size**2)
            self._mapped[name] = flat.reshape(frames, self.size, self.size)
            _stamp_use(path.with_suffix(JOURNAL))
        return self._mapped[name]

    @contextmanager
    def writing(self) -> Iterator[ShardWriter]:
        """Adds scans while the context lasts, and keeps at its end what was added, however it ends.

        Raises:
            StorageError: the disk is full. The shard that was being written is removed, so that other
                programs have room again; those before it are kept.
        """
        writer = ShardWriter(self.folder)
        try:
            try:
                yield writer
            except OSError:
                raise
            except BaseException:  # Ctrl-C, or a file that was changed: what was read before is kept
                writer.close()
                raise
            writer.close()
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            writer.discard()
            raise StorageError(
                f"no room for the pixel cache in {self.folder.parent} ({error.strerror}): free some space, "
                "shrink it with `learner-ray cache clear --max-size`, or name another folder in "
                "LEARNER_RAY_CACHE"
            ) from error
        finally:
            self._entries |= writer.written


def _stamp_use(journal: Path) -> None:
    """Notes that a shard is used, by its journal's time: not each time, since each costs a write."""
    with suppress(OSError):  # a cache that others fill may be read-only
        if time.time() - journal.stat().st_mtime > _STAMP_EVERY_S:
            os.utime(journal)
