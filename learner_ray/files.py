"""Files that are whole or absent, and the folder for what can be made again."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from learner_ray.errors import StorageError, UserError


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
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = os.fspath(path)  # of writing it names no file, of renaming the temporary one
        raise


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON with sorted keys, indented by one, atomically: equal values give equal bytes.

    JSON has no NaN and no infinity, and most readers refuse them; they are written as ``null``.
    """
    finite = json.loads(json.dumps(value), parse_constant=lambda name: None)
    write_atomic(path, json.dumps(finite, sort_keys=True, indent=1) + "\n")


LEAST_FREE_BYTES = 64 * 2**20
"""Below this a file system counts as full: an encoder (45 MB) no longer fits."""


GONE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENODEV,
    errno.ENOTCONN,
}  # fmt: skip
"""What a storage says that is not there any more, or not for us."""


def storage_fault(error: BaseException, folder: Path | None) -> str:
    """What is wrong with a storage, if that is why an error was raised; else nothing.

    PyTorch says only that its writer failed, so the space that is left is looked at too.

    Args:
        error: names the file itself, or else ``folder`` is blamed.
        folder: what was being written to; None where that is not known: then every file that an error names
            is told of.
    """
    if isinstance(error, StorageError):
        return str(error)
    named = error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else None
    if isinstance(error, OSError) and (named or folder):
        blamed = Path(named or str(folder))
        if error.errno == errno.ENOSPC:
            return f"{named_path(blamed)}: the disk is full{_room(blamed)}"
        if error.errno in GONE or folder is None:
            return f"{named_path(blamed)}: {error.strerror}"
    if folder is None:
        return ""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as missing:
        return f"{folder}: {missing.strerror}"
    return f"{folder}: the disk is full{_room(folder)}" if free < LEAST_FREE_BYTES else ""


def named_path(path: Path, wanted: Path | None = None) -> str:
    """A path, and how to choose another where that is not plain.

    Args:
        path: what is in the way.
        wanted: what it is in the way of, at or below ``path``; None for itself.
    """
    with suppress(UserError):
        if (wanted or path).is_relative_to(cache_root()):
            return f"{path} (in the cache; LEARNER_RAY_CACHE names another folder)"
    return str(path)


def _room(path: Path) -> str:
    """How much is left where a path is, or would be."""
    for part in (path, *path.absolute().parents):
        with suppress(OSError):
            return f" ({shutil.disk_usage(part).free / 2**20:.0f} MB left)"
    return ""


def cache_root() -> Path:
    """The folder for what can be made again: ``$LEARNER_RAY_CACHE``, or ``~/.cache/learner_ray``.

    Raises:
        UserError: neither is known.
    """
    named = os.environ.get("LEARNER_RAY_CACHE")
    try:
        return Path(named) if named else Path.home() / ".cache" / "learner_ray"
    except RuntimeError as error:
        raise UserError("this user has no home folder: name a folder in LEARNER_RAY_CACHE") from error
