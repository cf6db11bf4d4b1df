"""Folders in object storage (S3 and what speaks its protocol, Google Cloud Storage), used through a copy.

Object storage has no locks, no renames and no files that could be mapped or appended to. So nothing works in
it directly: a process that needs a folder fetches it, and one that has changed it publishes it. What lies in
the storage is the truth; a copy that differs is overwritten by a fetch, even if it is newer.

Keys are found as everywhere: ``AWS_ACCESS_KEY_ID`` and the like, a profile, or the machine's own role.
``AWS_ENDPOINT_URL`` names a server that is not Amazon's.

The file systems are PyArrow's, which is needed anyway and holds all of them in one library. fsspec would need
a package for each storage, and the one for S3 pins botocore below what the boto3 of Ray's launcher asks for.
"""

from __future__ import annotations

import errno
import functools
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import cache_root
from learner_ray.core.locks import locked_file
from learner_ray.core.modes import writing_to_cache

if TYPE_CHECKING:  # loaded where used: every command looks here, few studies lie in object storage
    from pyarrow import fs

SCHEMES = ("s3", "gs")


def is_url(address: str) -> bool:
    """Whether an address is a URL, and not a path."""
    return "://" in address


@dataclass(frozen=True)
class StoredFolder:
    """A folder in object storage, and its copy on this machine.

    Every method raises StorageError where the storage does not answer or refuses.
    """

    url: str
    """``s3://bucket/folder`` or ``gs://bucket/folder``."""
    kept_in: str = "object-storage"
    """Below the cache's folder; copies of data and of results must not lie in each other."""

    @classmethod
    def at(cls, url: str) -> StoredFolder:
        """Raises UserError where the address is of no object storage that can be used."""
        scheme, _, path = url.partition("://")
        if scheme not in SCHEMES or not path.strip("/").partition("/")[2]:
            known = " or ".join(f"{s}://BUCKET/FOLDER" for s in SCHEMES)
            raise UserError(f"{url}: write {known}, or name a folder that all nodes see")
        return cls(url.rstrip("/"))

    @property
    def local(self) -> Path:
        """The copy."""
        scheme, _, path = self.url.partition("://")
        return cache_root() / self.kept_in / scheme / path

    def below(self, name: str) -> StoredFolder:
        """The folder of this name in this one."""
        return replace(self, url=f"{self.url}/{name}")

    @property
    def above(self) -> StoredFolder:
        """The folder that this one lies in."""
        return replace(self, url=self.url.rpartition("/")[0])

    def fetch(self, *, without: str = "", removes: bool = True) -> dict[str, int]:
        """Makes the copy equal to the folder, but for files of this pattern, which may be missing or old.

        Hidden files of the copy are its own; others that the folder lacks are removed.

        Returns:
            The sizes of the files of this pattern in the storage, by their names.
        """
        with self._opened() as (system, path):
            files = self._files(system, path)
            for name in set(_names(self.local)) - set(files) if removes else ():
                (self.local / name).unlink(missing_ok=True)
            left = {name for name in files if without and Path(name).match(without)}
            for name, stamp in files.items():
                if name not in left and _stamp(self.local / name) != stamp:
                    self._download(system, f"{path}/{name}", self.local / name, stamp)
            return {name: files[name][0] for name in left}

    def publish(
        self, names: Sequence[str] | None = None, *, last: Sequence[str] = (), whole: str = ""
    ) -> None:
        """Writes to the folder what has changed in the copy.

        Args:
            names: of the files to look at; None for all that are not hidden.
            last: names that only make sense when the others are there, in their order.
            whole: a folder below this one, of which files that the copy lacks are removed.
        """
        with self._opened() as (system, path):
            files = self._files(system, path)
            chosen = _names(self.local) if names is None else names
            for name in sorted(chosen, key=lambda name: (last.index(name) if name in last else -1, name)):
                stamp = _stamp(self.local / name)
                if stamp is not None and stamp != files.get(name):
                    self._upload(system, self.local / name, f"{path}/{name}")
            for name in files:
                if whole and name.startswith(f"{whole}/") and not (self.local / name).exists():
                    system.delete_file(f"{path}/{name}")

    def remove(self, name: str) -> None:
        """Removes a file, here and there, if it is there."""
        (self.local / name).unlink(missing_ok=True)
        with self._opened() as (system, path):
            if _is_file(system, f"{path}/{name}"):
                system.delete_file(f"{path}/{name}")

    def forget(self) -> None:
        """Removes the copy, but for hidden files, so that the next fetch brings every file anew."""
        for name in _names(self.local):
            (self.local / name).unlink(missing_ok=True)

    def clear(self, *, first: str, keep: str) -> None:
        """Removes all files that are not hidden, here and there: one before the others, and one not."""
        with self._opened() as (system, path):
            there = self._files(system, path)
            names = {*there, *_names(self.local)} - {keep}
            for name in sorted(names, key=lambda name: (name != first, name)):
                (self.local / name).unlink(missing_ok=True)
                if name in there:
                    system.delete_file(f"{path}/{name}")

    def holds(self, name: str = "") -> bool:
        """Whether there is such a file, or anything in the folder at all."""
        with self._opened() as (system, path):
            if name:
                return _is_file(system, f"{path}/{name}")
            return bool(self._files(system, path))

    def read(self, name: str) -> bytes:
        """A file's content, without a copy."""
        with self._opened() as (system, path), system.open_input_stream(f"{path}/{name}") as stream:
            return bytes(stream.read())

    def leave(self, name: str) -> None:
        """Writes an empty file."""
        with self._opened() as (system, path):
            system.open_output_stream(f"{path}/{name}").close()

    def _files(self, system: fs.FileSystem, path: str) -> dict[str, tuple[int, int]]:
        """Size and time of every file, by its name below the folder."""
        from pyarrow import fs

        found = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        files = [info for info in found if info.type == fs.FileType.File]
        names = {info.path.removeprefix(f"{path}/"): info for info in files}
        return {n: (info.size, info.mtime_ns or 0) for n, info in names.items() if not _hidden(Path(n))}

    def _download(self, system: fs.FileSystem, source: str, target: Path, stamp: tuple[int, int]) -> None:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        with writing_to_cache(), system.open_input_stream(source) as stream:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as out:
                shutil.copyfileobj(stream, out, 2**23)
        os.utime(temporary, ns=(stamp[1], stamp[1]))
        temporary.replace(target)

    def _upload(self, system: fs.FileSystem, source: Path, target: str) -> None:
        # A stream that an exception closes leaves what it has got as if it were whole: so by another name.
        folder, _, name = target.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(8)}.tmp"
        with open(source, "rb") as stream, system.open_output_stream(temporary) as out:
            shutil.copyfileobj(stream, out, 2**23)
        system.move(temporary, target)
        # Both now bear one time, so that the next look sees that they are equal.
        written = system.get_file_info(target).mtime_ns or 0
        os.utime(source, ns=(written, written))

    @contextmanager
    def _opened(self) -> Iterator[tuple[fs.FileSystem, str]]:
        """Yields the file system and the folder's path on it; raises StorageError for a fault of the
        storage."""
        try:
            scheme, _, path = self.url.partition("://")
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            yield _file_system(scheme, path.partition("/")[0], endpoint), path
        except OSError as error:
            # With another number it is of this machine's own disk.
            if error.errno not in (None, errno.ENOENT):
                raise
            raise StorageError(f"{self.url}: {str(error).splitlines()[0]}") from error


@functools.cache
def _file_system(scheme: str, bucket: str, endpoint: str | None) -> fs.FileSystem:
    from pyarrow import fs

    if scheme == "s3" and endpoint:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return fs.S3FileSystem(endpoint_override=endpoint, region=region)
    return fs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]


def _is_file(system: fs.FileSystem, path: str) -> bool:
    return bool(system.get_file_info(path).is_file)


def _names(folder: Path) -> list[str]:
    """Names of all files below a folder, but for hidden ones and those in hidden folders."""
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return [str(name) for name in names if not _hidden(name)]


def _hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of a file, or None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def visible(address: str) -> bool:
    """Whether this machine can see a file or folder, at a path or a URL."""
    if not is_url(address):
        return Path(address).exists()
    stored = StoredFolder(address.rstrip("/"))
    try:
        return stored.holds() or stored.above.holds(address.rpartition("/")[2])
    except StorageError:
        return False


def fetched(address: str) -> Path:
    """A folder or file of the user's to read, on this machine: of a URL its copy, made where it is missing.

    Of a file the folder around it is fetched, whose files it may name.

    Raises:
        UserError: there is nothing at this URL.
    """
    if not is_url(address):
        return Path(address)
    stored = replace(StoredFolder.at(address), kept_in="object-storage-data")
    is_file = stored.above.holds(address.rpartition("/")[2])
    whole = stored.above if is_file else stored
    with writing_to_cache():
        whole.local.mkdir(parents=True, exist_ok=True)
    with locked_file(whole.local / ".lock"):  # one of the processes of a machine is enough
        whole.fetch(removes=False)
    if not is_file and not _names(whole.local):
        raise UserError(f"{address}: there is nothing there")
    return stored.local
