"""Runs a script as a user would who knows of no ``__main__`` guard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_plain(script: Path, folder: Path, *, timeout_s: float) -> str:
    """What a script prints that is run in a folder, with the packages that this process finds."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
