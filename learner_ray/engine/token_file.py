"""The file with the token that Ray's processes show each other: who reads it may run code as its owner."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from learner_ray.core.files import write_private

MODE = "RAY_AUTH_MODE"
GIVEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Environment variables by which the user gives a token; Ray then makes none."""


def close_token_file() -> None:
    """Takes from others the right to read Ray's token. Where there is none, and Ray would make one that
    others may read, one is made here that they may not. A home that cannot be written is left to Ray."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    with suppress(OSError, RuntimeError):  # no home folder
        path = Path(named) if named else Path.home() / ".ray" / "auth_token"
        if path.exists():
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(0o600)
        elif os.environ.get(MODE, "token").lower() == "token" and not any(map(os.environ.get, GIVEN)):
            _make(path)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(temporary, secrets.token_hex(32))
        with suppress(FileExistsError):  # another process was first, and its token counts
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
