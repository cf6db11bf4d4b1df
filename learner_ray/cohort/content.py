"""SHA-256 of files, by which two files with the same content are recognised.

Reading a large archive takes long, so hashes are remembered in the cache folder, by a hash of each file's
path, which may name a patient. A remembered one is believed
only while the file keeps its size, both its times, its inode and its device: a restored or synchronised file
may well have the size and the time of change of another.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from learner_ray.core.errors import UserError
from learner_ray.core.files import cache_root, json_object, sha256_of, write_atomic
from learner_ray.core.modes import writing_to_cache

_SETTLED_SECONDS = 3.0
"""A file that changed less than this many seconds ago could change again without a new time stamp."""


class Stamp(NamedTuple):
    """What the file system says of a file without reading it."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change of the content, in nanoseconds; programs can set it."""
    ctime_ns: int
    """Time of the last change of the file or its name, in nanoseconds; no program can set it."""
    inode: int
    """Number of the file on its device."""
    device: int
    """Number of the device."""


class Known(NamedTuple):
    """What a file held when it was read."""

    stamp: Stamp
    """The file's stamp before it was read."""
    sha256: str
    """Hash of its content, in hexadecimal."""
    settled: bool
    """Whether a later change would show in the stamp: the file had not just been changed."""


def content_hashes(paths: Iterable[str], *, among: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 (hexadecimal) of each file's content, by path. A second call reads only what may have changed.

    Args:
        paths: the files.
        among: all of the cohort's, where these are some of them: what is read is remembered for all.

    Raises:
        UserError: a file cannot be read.
    """
    wanted = sorted(set(paths))
    memory = _memory_file([*wanted, *among])
    known = _known(memory, wanted)
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        stamps = dict(zip(wanted, pool.map(_stamp, wanted), strict=True))
        believed = {p for p in wanted if p in known and known[p].settled and known[p].stamp == stamps[p]}
        unknown = [path for path in wanted if path not in believed]
        learnt = dict(zip(unknown, pool.map(_read_hash, unknown), strict=True))
    _add(memory, learnt)
    return {path: (learnt.get(path) or known[path]).sha256 for path in wanted}


def last_known(paths: Iterable[str]) -> dict[str, str]:
    """The hash that each file had when it was last read, by path. Reads none; files never read are left
    out."""
    wanted = set(paths)
    return {path: of.sha256 for path, of in _known(_memory_file(wanted), wanted).items()}


def remember(learnt: Mapping[str, Known], among: Iterable[str]) -> None:
    """Keeps what ``read_hash`` said of some of a cohort's files, by path."""
    _add(_memory_file(among), learnt)


def read_hash(path: str) -> Known:
    """Reads a file and hashes it.

    Raises:
        OSError: the file cannot be read.
    """
    stamp = stamp_of(path)
    settled = max(stamp.mtime_ns, stamp.ctime_ns) < time.time_ns() - int(_SETTLED_SECONDS * 1e9)
    return Known(stamp, sha256_of(path), settled)


def stamp_of(path: str) -> Stamp:
    """The stamp of a file.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(path)
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _add(memory: Path, learnt: Mapping[str, Known]) -> None:
    if not learnt:
        return
    # Two processes may write at once: the later one wins, and the other's files are hashed once more.
    with suppress(OSError), writing_to_cache():
        named = {_key(path): of for path, of in learnt.items()}
        write_atomic(memory, json.dumps({**_read(memory), **named}))
        memory.with_name(memory.name.removeprefix("v2-")).unlink(missing_ok=True)  # of before, with paths


def _memory_file(paths: Iterable[str]) -> Path:
    """One file per data folder, so that none grows with everything ever hashed."""
    folders = {os.path.dirname(os.path.abspath(path)) for path in paths}
    folder = os.path.commonpath(folders) if folders else ""
    return cache_root() / "content" / f"v2-{hashlib.sha256(folder.encode()).hexdigest()[:24]}.json"


def _key(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def _known(memory: Path, paths: Iterable[str]) -> dict[str, Known]:
    """What is remembered of some files, by path."""
    known = _read(memory)
    return {path: known[key] for path in paths if (key := _key(path)) in known}


def _read(memory: Path) -> dict[str, Known]:
    """What is remembered, by the hash of each path; nothing where it is damaged."""
    try:
        return {
            key: Known(Stamp(*stamp), str(digest), bool(settled))
            for key, (stamp, digest, settled) in json_object(memory).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _stamp(path: str) -> Stamp:
    try:
        return stamp_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_hash(path: str) -> Known:
    try:
        return read_hash(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror}; restore the file, or take it out of the cohort")
