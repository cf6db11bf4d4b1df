"""Paths that the user names: what is wrong with one, said in a sentence, and early where it can be told."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import json_object, named_path

UNUSABLE = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""What any storage says of a path that cannot be: below a file, say."""


def mistaken_path(error: OSError) -> str:
    """In what way an error's path could be on no storage, such as a folder below a file; else nothing."""
    if error.errno not in UNUSABLE or not isinstance(error.filename, str):
        return ""
    path = Path(error.filename)
    for part in (path, *path.parents):
        if os.path.lexists(part) and not os.path.isdir(part):
            return f"{named_path(part, path)} is a file, where a folder is needed: name another"
    return f"{named_path(path)}: {error.strerror}: name another"


def refuse_unwritable(folder: Path) -> None:
    """Tells before the work, without a trace on the disk, that a folder could not be made or written to.

    Raises:
        UserError: it is a file, or would lie below one.
        StorageError: this user may not write there.
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(folder)  # says of other names that they cannot be
        there = next(part for part in (folder, *folder.absolute().parents) if os.path.lexists(part))
        if not os.path.isdir(there):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        if not os.access(there, os.W_OK | os.X_OK):
            code = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(code, os.strerror(code), str(there))
    except OSError as error:
        mistake = mistaken_path(error)
        if mistake:
            raise UserError(mistake) from error
        raise StorageError(f"{named_path(Path(error.filename), folder)}: {error.strerror}") from error


def read_json(path: str | os.PathLike[str], remedy: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: of the file.
        remedy: what to do where it is damaged, as the end of a sentence.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it holds something else, or cannot be read.
    """
    try:
        return json_object(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}") from error
