"""What is made once for a whole run of tests, whichever of its workers needs it first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from learner_ray.core.locks import locked_file


def run_folder(config: pytest.Config) -> Path:
    """A folder of this run of tests, the same for all workers of pytest-xdist."""
    own: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    return own.parent if hasattr(config, "workerinput") else own


def once(folder: Path, name: str, make: Callable[[Path], object]) -> Path:
    """A path below a folder that somebody has made; made here where nobody has.

    Args:
        folder: the same for all who ask.
        name: of what is made.
        make: is given the path, which does not exist.
    """
    path = folder / name
    with locked_file(folder / f".{name}.lock"):
        done = folder / f".{name}.done"
        if not done.exists():
            make(path)
            done.touch()
    return path
