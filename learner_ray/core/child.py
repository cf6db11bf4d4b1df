"""Processes that this one starts to run code of this package.

They are commands of their own and not those of ``multiprocessing``, which import the caller's script again: a
script without a ``__main__`` guard would run itself without end.
"""

from __future__ import annotations

import os
import sys


def child_command(module: str) -> list[str]:
    """The command that calls ``main`` of a module; arguments may follow."""
    return [sys.executable, "-c", f"from {module} import main; main()"]


def child_environment() -> dict[str, str]:
    """The environment in which a process finds the packages that this one has found, and none of the working
    directory's."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
