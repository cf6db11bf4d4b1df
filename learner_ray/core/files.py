"""Files that are whole or absent, and the folder for what can be made again."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from learner_ray.core.errors import StorageError, UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Opens a stream that replaces a file at once: after a kill or a power cut, and for every reader, the
    file holds the old content or the new, never a part.

    The data goes to a temporary name in the same folder (renaming is atomic only within a file system), is
    flushed to disk, and then takes the final name. Missing parent folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files can be read by their owner only, and results are shared like any other file.
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = os.fspath(path)  # of writing it names no file, of renaming the temporary one
        raise


def keep_names(folder: Path) -> None:
    """Flushes a folder's list of names to disk, which may take as long as writing a small file. File systems
    that offer no such call do not need it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomic(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a whole file by :func:`replacing`. Text is UTF-8."""
    with replacing(path) as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


def write_private(path: str | os.PathLike[str], text: str) -> None:
    """Write a new file that nobody but its owner may ever read.

    Raises:
        FileExistsError: there is a file of this name.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def json_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object in a file of UTF-8, which may begin with a byte order mark.

    Raises:
        OSError: the file is not there, or cannot be read.
        ValueError: it holds something else.
    """
    return parse_object(Path(path).read_bytes())


def parse_object(content: bytes) -> dict[str, Any]:
    """The JSON object that a file's content is.

    Raises:
        ValueError: it is something else.
    """
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:  # brackets without end
        raise ValueError(str(error)) from error
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return value


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON with sorted keys, indented by one, atomically: equal values give equal bytes.

    JSON has no NaN and no infinity, and most readers refuse them; they are written as ``null``.
    """
    finite = json.loads(json.dumps(value), parse_constant=lambda name: None)
    write_atomic(path, json.dumps(finite, sort_keys=True, indent=1) + "\n")


def write_parquet(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index, whole or not at all."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())


LEAST_FREE_BYTES = 64 * 2**20
"""A file system with less free space than this counts as full: an encoder (45 MB) no longer fits."""


GONE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENODEV,
    errno.ENOTCONN,
}  # fmt: skip
"""Error numbers of a storage that is gone, or that this user may not use."""


def storage_fault(error: BaseException, folder: Path | None) -> str:
    """Says what is wrong with a storage, if that is why an error was raised; else the empty string.

    PyTorch says only that its writer failed, so the free space is looked at too.

    Args:
        error: the error; where it names no file, ``folder`` is blamed.
        folder: the folder that was being written to; None where it is not known, and then any file that the
            error names is blamed.
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
    """A path as messages name it: one in the cache with the way to choose another folder for it.

    Args:
        path: the path that is at fault.
        wanted: the path that could not be used because of it, at or below ``path``; None for ``path`` itself.
    """
    with suppress(UserError):
        if (wanted or path).is_relative_to(cache_root()):
            return f"{path} (in the cache; LEARNER_RAY_CACHE names another folder)"
    return str(path)


def _room(path: Path) -> str:
    """The free space where a path is, or would be, in brackets."""
    for part in (path, *path.absolute().parents):
        with suppress(OSError):
            return f" ({shutil.disk_usage(part).free / 2**20:.0f} MB left)"
    return ""


class Standing:
    """Knows whether a folder is still the one it was, and not another in its place.

    Holds it open until ``close``: a file system gives the number of a removed folder to the next one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = os.open(folder, os.O_RDONLY)

    @property
    def has_gone(self) -> bool:
        """Whether the folder was removed, or another now lies in its place."""
        try:
            return not os.path.samestat(os.fstat(self._handle), self._folder.stat())
        except OSError:
            return True

    def close(self) -> None:
        """Lets go of the folder."""
        os.close(self._handle)


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
