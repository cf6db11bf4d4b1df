"""Files that are whole or absent, and the folder for what can be made again."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from learner_ray.errors import StorageError


def write_atomic(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a file so that a reader, or a kill at any moment, finds the old content or the new, never a part.

    The data goes to a temporary name in the same folder (renaming is atomic only within a file system), is
    flushed to disk, and then takes the final name. Missing parent folders are made. Text is UTF-8.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode("utf-8") if isinstance(data, str) else data
    # Not tempfile: its files can be read by their owner only, and results are shared like any other file.
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON with sorted keys, indented by one, atomically: equal values give equal bytes.

    JSON has no NaN and no infinity, and most readers refuse them; they are written as ``null``.
    """
    finite = json.loads(json.dumps(value), parse_constant=lambda name: None)
    write_atomic(path, json.dumps(finite, sort_keys=True, indent=1) + "\n")


LEAST_FREE_BYTES = 64 * 2**20
"""Below this a file system counts as full: an encoder (45 MB) no longer fits."""


def storage_fault(error: BaseException, folder: Path) -> str:
    """What is wrong with the storage of a folder, if that is why an error was raised; else nothing.

    PyTorch says only that its writer failed, so the space that is left is looked at too.
    """
    if isinstance(error, StorageError):
        return str(error)
    gone = {errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN}
    if isinstance(error, OSError) and error.errno in gone:
        return f"{folder}: {os.strerror(error.errno or 0)}"
    try:
        free = shutil.disk_usage(folder).free
    except OSError as missing:
        return f"{folder}: {missing.strerror}"
    full = free < LEAST_FREE_BYTES or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
    return f"{folder}: the disk is full ({free / 2**20:.0f} MB left)" if full else ""


class Standing:
    """Knows whether a folder is still the one it was, and not another in its place.

    Holds it open until ``close``: a file system gives the number of a removed folder to the next one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = os.open(folder, os.O_RDONLY)

    @property
    def has_gone(self) -> bool:
        try:
            return not os.path.samestat(os.fstat(self._handle), self._folder.stat())
        except OSError:
            return True

    def close(self) -> None:
        os.close(self._handle)


def cache_root() -> Path:
    """The folder for what can be made again: ``$LEARNER_RAY_CACHE``, or ``~/.cache/learner_ray``."""
    named = os.environ.get("LEARNER_RAY_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "learner_ray"
