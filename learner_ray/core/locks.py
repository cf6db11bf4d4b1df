"""Locks between processes: files that one process at a time holds, and files that are in use.

They are ``flock`` locks (filelock's native ones), so a lock ends with the process that holds it, however that
ends, and holds between nodes where their shared file system supports ``flock``, as NFS does.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock, Timeout


class HeldError(Exception):
    """Another process, or another part of this one, holds the lock."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lock, or did."""

    here: bool
    """Whether a process of this machine holds it now."""
    host: str
    """Name of the last holder's machine; empty where it is not known."""
    process: str
    """Number of the last holder's process there; empty where it is not known."""

    @property
    def elsewhere(self) -> bool:
        """Whether the last holder is on another machine, and nobody here knows whether it holds it still."""
        return bool(self.host) and self.host != socket.gethostname()


@contextmanager
def locked_file(path: Path, *, within_s: float | None = None) -> Iterator[None]:
    """Holds a lock while the context lasts; its file stays, and names the last holder as ``host process``.

    Args:
        path: the lock's file, in a folder that exists.
        within_s: how many seconds to wait for the present holder; None for as long as it takes.

    Raises:
        HeldError: it is still held after that time.
    """
    # Not one lock per thread: an actor may end its run in another thread than it began it in.
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=-1 if within_s is None else within_s)
    except Timeout as error:
        raise HeldError(f"{path} is held by {_holder(path)}") from error
    try:
        # Opened anew, since the lock's open file is filelock's; that does not affect the lock.
        path.write_text(f"{socket.gethostname()} {os.getpid()}\n")
        yield
    finally:
        lock.release()


def held_by(path: Path) -> Holder:
    """Who holds a lock, as far as can be seen without taking it, which could keep its next holder out.

    Args:
        path: the lock's file, which may not exist.
    """
    host, process = last_holder(path)
    try:
        inode = path.stat().st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return Holder(here=False, host=host, process=process)
    # The process too: a file of another file system may have the same inode, and the device does not help,
    # since an overlay gives another one than the kernel's list.
    held = any(line[1] == "FLOCK" and line[4] == process and line[5].endswith(f":{inode}") for line in locks)
    return Holder(here=held, host=host, process=process)


def last_holder(path: Path) -> tuple[str, str]:
    """The last holder of a lock: its host and its process there, as the file names them; both empty where it
    names none."""
    try:
        host, process = path.read_text().split()
    except (OSError, ValueError):
        return "", ""
    return host, process


def mark_in_use(stream: IO[bytes]) -> bool:
    """Marks an open file as in use for as long as it, or a map of it, is open in a process.

    Args:
        stream: the file, opened for reading or writing.

    Returns:
        False where another process holds it to remove it. True too where the file system has no locks.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def held_unused(path: Path) -> Iterator[Literal["unused", "in use", "unknown"]]:
    """Holds a file that nobody has marked as in use, and keeps others from doing so while the context lasts.

    Args:
        path: the file.

    Yields:
        Whether it is held, or in use, or the file system has no locks and cannot say.

    Raises:
        OSError: it cannot be opened for writing, which locks between nodes need.
    """
    with open(path, "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield "in use"
            return
        except OSError:
            yield "unknown"
            return
        yield "unused"


def _holder(path: Path) -> str:
    """The process that a lock's file names, for a message."""
    host, process = last_holder(path)
    return f"process {process} on {host}" if host else "another process"
