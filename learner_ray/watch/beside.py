"""The live view beside a sweep: in a process of its own, which can neither slow nor end the sweep."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from learner_ray.core.child import child_command, child_environment
from learner_ray.watch.look import StudyWatch
from learner_ray.watch.server import REFRESH_S, WatchServer

LINGERS_S = 3 * REFRESH_S
"""For so long the page is served after the sweep has ended, so that an open page shows how it did."""
NICE = 10
"""Steps by which its process stands behind those that train."""


@contextmanager
def watched(folder: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Serves the live view of a study while the context lasts, and a moment longer. Where that fails, it is
    said and nothing else happens.

    Args:
        folder: the results folder, which may not exist yet.
        announce: is called once, from another thread, with the address or with why there is none.
    """
    try:
        process = subprocess.Popen(
            [*child_command("learner_ray.watch.beside"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            start_new_session=True,  # Ctrl-C is for the sweep
            text=True,
        )
    except OSError as error:
        announce(f"The live view cannot be shown ({error.strerror}); the sweep goes on without it.")
        yield
        return
    threading.Thread(target=_announce, args=(process, announce), daemon=True).start()
    try:
        yield
    finally:
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]


def _announce(process: subprocess.Popen[str], announce: Callable[[str], None]) -> None:
    address = process.stdout.readline().strip()  # type: ignore[union-attr]
    with suppress(OSError, ValueError):  # nobody reads the sweep's output any more: that is for the sweep
        if address:
            announce(f"Live view: {address}")
        else:
            announce("The live view could not be started; the sweep goes on without it.")


def main() -> None:
    """Serves the page until the process that started this one has closed its end, or is gone."""
    os.nice(NICE)
    folder = Path(sys.argv[1])
    with WatchServer(StudyWatch(folder, str(folder))) as server:
        sys.stdout.write(f"{server.address}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        time.sleep(LINGERS_S)
