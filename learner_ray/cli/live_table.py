"""A sweep's progress in a terminal: a steady table with bars, above which messages scroll."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learner_ray.study.callback import Callback


def takes_tables() -> bool:
    """Whether the standard output is a terminal that can draw over what it has shown."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


@contextmanager
def live_table() -> Iterator[Callable[[Mapping[str, int]], Callback] | None]:
    """Keeps the table at the bottom of the terminal while the context lasts; its last state stays.

    Yields:
        what makes the callback that shows progress, of the number of runs of each arm; None where the output
        is no terminal, or a dumb one, and gets plain lines.
    """
    if not takes_tables():
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(), refresh_per_second=1, redirect_stderr=sys.stderr.isatty())

    def begin(runs: Mapping[str, int]) -> Callback:
        from learner_ray.engine.progress_table import ProgressTable

        table = ProgressTable(runs)
        live.update(table)
        live.start()
        return table

    try:
        yield begin
    finally:
        live.stop()
