"""How much the pixel cache holds, and its removal: what was used least recently first, nothing unasked.

What a process of any node has open is not removed: it is locked (``locks.mark_in_use``). Should a shard go
all the same, a process of this machine keeps its map of it; one of another node that shares the folder by
NFS would be ended when it touches it.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from learner_ray.core.locks import held_unused
from learner_ray.imaging.shards import JOURNAL, PIXELS

LARGE_BYTES = 50 * 10**9
"""A cache that holds more is spoken of by every sweep."""
_UNLOCKED_S = 86_400.0
"""Where the file system has no locks, what was used in the last day counts as in use."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What is removed as a whole: a shard, or what an older version left."""

    paths: tuple[Path, ...]
    """Its files in the order of their removal, or the one folder of an older version."""
    bytes: int
    """The size of all of it."""
    used: float
    """When it was last used, in seconds since 1970."""

    def remove(self) -> bool:
        """Removes it unless it is in use; whether it is gone.

        Raises:
            OSError: this user may not remove it.
        """
        pixels = next((path for path in self.paths if path.suffix == PIXELS), None)
        with suppress(FileNotFoundError):  # another process removes it
            if pixels is None:
                self._unlink()
                return True
            with held_unused(pixels) as state:
                if state == "in use" or (state == "unknown" and time.time() - self.used < _UNLOCKED_S):
                    return False
                self._unlink()
        return True

    def _unlink(self) -> None:
        for path in self.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def pieces(root: Path) -> list[Piece]:
    """All that a folder of decoded pixels holds, except locks."""
    found: list[Piece] = []
    for path in root.iterdir() if root.is_dir() else []:
        with suppress(FileNotFoundError):  # another process removes it
            if path.is_dir() and not (path / "index.json").exists():
                found += _shards(path)
            elif path.suffix != ".lock":
                found.append(Piece(paths=(path,), bytes=size_of(path), used=path.stat().st_mtime))
    return found


def _shards(store: Path) -> Iterator[Piece]:
    files = defaultdict(list)
    for path in store.iterdir():
        files[path.stem].append(path)
    for paths in files.values():
        paths.sort(key=lambda path: path.suffix != JOURNAL)  # without it nothing points to the frames
        with suppress(FileNotFoundError):  # another process removes it
            states = [path.stat() for path in paths]
            yield Piece(
                paths=tuple(paths),
                bytes=sum(state.st_size for state in states),
                used=max(state.st_mtime for state in states),
            )


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What a removal did, in bytes."""

    removed: int
    """What is gone."""
    in_use: int
    """What should have gone, but is in use."""
    left: int
    """What is there now, the part in use included."""


def remove(root: Path, *, older_than_s: float | None = None, max_bytes: int | None = None) -> Removal:
    """Removes decoded pixels; all that are not in use where no bound is given.

    Args:
        root: folder of all decoded pixels.
        older_than_s: remove what was not used for so many seconds.
        max_bytes: remove what was used least recently until no more than this is left.

    Raises:
        OSError: this user may not remove a file.
    """
    found = sorted(pieces(root), key=lambda piece: piece.used)
    begin = left = sum(piece.bytes for piece in found)
    in_use = 0
    for piece in found:
        unbounded = older_than_s is None and max_bytes is None
        too_old = older_than_s is not None and piece.used < time.time() - older_than_s
        if not (unbounded or too_old or (max_bytes is not None and left > max_bytes)):
            continue
        if piece.remove():
            left -= piece.bytes
        else:
            in_use += piece.bytes
    return Removal(removed=begin - left, in_use=in_use, left=left)


def note_if_large(root: Path) -> str:
    """One line about a folder of decoded pixels that holds more than ``LARGE_BYTES``; else the empty
    string."""
    held = sum(piece.bytes for piece in pieces(root))
    if held <= LARGE_BYTES:
        return ""
    return (
        f"{root} holds {held / 1e9:,.0f} GB of decoded pixels; `learner-ray cache clear --max-size "
        f"{LARGE_BYTES / 1e9:.0f}GB` removes what was used least recently"
    )


def size_of(path: Path) -> int:
    """The bytes of all files in a folder, or of a file."""
    return sum(part.lstat().st_size for part in (path, *path.rglob("*")) if part.is_file())
