"""SHA-256 of files, remembered as long as a file keeps its size and time of change."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from learner_ray.errors import UserError
from learner_ray.files import cache_root, write_atomic

_BLOCK = 1 << 20
_SETTLED_SECONDS = 3.0
"""A file changed more recently than this could change again within one tick of its time stamp."""


def content_hashes(paths: Iterable[str]) -> dict[str, str]:
    """SHA-256 (hexadecimal) of each file's content, by path.

    Hashes are remembered in the cache folder, so that a second call reads only what has changed.

    Raises:
        UserError: a file cannot be read.
    """
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    memory = _memory_file(wanted)
    known = _read(memory)
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        stamps = dict(zip(wanted, pool.map(_stamp, wanted), strict=True))
        unknown = [path for path in wanted if known.get(path, ("",))[:-1] != stamps[path]]
        hashed = dict(zip(unknown, pool.map(_sha256, unknown), strict=True))
    result = {path: hashed.get(path) or str(known[path][-1]) for path in wanted}
    settled = time.time_ns() - int(_SETTLED_SECONDS * 1e9)
    learnt = {p: (*stamps[p], digest) for p, digest in hashed.items() if stamps[p][1] < settled}
    if learnt:
        # Two processes may write at once: the later one wins, and the other's files are hashed once more.
        with suppress(OSError):
            write_atomic(memory, json.dumps({**known, **learnt}))
    return result


def _memory_file(paths: list[str]) -> Path:
    """One file per data folder, so that none grows with everything ever hashed."""
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    return cache_root() / "content" / f"{hashlib.sha256(folder.encode()).hexdigest()[:24]}.json"


def _read(memory: Path) -> dict[str, tuple[int | str, ...]]:
    try:
        return {path: tuple(entry) for path, entry in json.loads(memory.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_size, status.st_mtime_ns


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror}; restore the file, or take it out of the cohort")
