"""Who may read what is written: runs, results and the cache are the user's own, or those of a group.

What a process writes is governed by its umask, so that libraries' files are closed too. A folder that a lab
shares keeps its group: files in it take the group's rights from it. Others have no rights, ever.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from learner_ray.core.files import cache_root

CLOSED = 0o077
"""The umask under which files are their owner's alone."""


def umask_for(root: Path) -> int:
    """The umask for what is written below a folder.

    A folder is a group's where others have no rights in it, or where its group may write or hands itself on
    (setgid); that others may read an ordinary folder says nothing, since most are made so.

    Args:
        root: the folder; one that does not exist yet is the user's alone.
    """
    try:
        mode = stat.S_IMODE(root.stat().st_mode)
    except OSError:
        return CLOSED
    is_shared = not mode & stat.S_IRWXO or (mode & (stat.S_IWGRP | stat.S_ISGID) and not mode & stat.S_IWOTH)
    return CLOSED & ~(mode & stat.S_IRWXG) if is_shared else CLOSED


@contextmanager
def closed_to_others(root: Path) -> Iterator[None]:
    """Within it this process writes files that only their owner may read, or also the group whose folder
    ``root`` is. Afterwards its umask is as before."""
    before = os.umask(umask_for(root))
    try:
        yield
    finally:
        os.umask(before)


def stay_closed_to_others(root: Path) -> None:
    """Lets this process write such files for the rest of its life: one that trains has nothing else to
    write, and several runs in its threads."""
    os.umask(umask_for(root))


@contextmanager
def writing_to_cache() -> Iterator[Path]:
    """Within it files of the cache are written, closed to others. Yields the cache's folder, which exists.

    The folder of earlier versions in the user's home is closed, too; one that ``LEARNER_RAY_CACHE`` names
    keeps its rights.
    """
    root = cache_root()
    with suppress(OSError):
        if not os.environ.get("LEARNER_RAY_CACHE") and root.is_dir() and umask_for(root) == CLOSED:
            root.chmod(0o700)
    with closed_to_others(root):
        root.mkdir(parents=True, exist_ok=True)
        yield root
