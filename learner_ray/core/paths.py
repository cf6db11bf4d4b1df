"""Paths that the user names: what is wrong with one, in a sentence, and before the work where possible."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.files import json_object, named_path

UNUSABLE = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Error numbers of paths that no storage can have, such as one below a file."""


def mistaken_path(error: OSError) -> str:
    """Says why the path of an error can exist on no storage, such as a folder below a file; else the empty
    string."""
    if error.errno not in UNUSABLE or not isinstance(error.filename, str):
        return ""
    path = Path(error.filename)
    for part in (path, *path.parents):
        if os.path.lexists(part) and not os.path.isdir(part):
            return f"{named_path(part, path)} is a file, where a folder is needed: name another"
    return f"{named_path(path)}: {error.strerror}: name another"


def refuse_unwritable(folder: Path) -> None:
    """Refuses, before the work begins, a folder that could not be made or written to. Leaves no trace on
    disk.

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
        path: the file.
        remedy: what to do if the file is damaged, as the end of a sentence.

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
