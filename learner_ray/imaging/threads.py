"""Looking at many scans at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Seen = TypeVar("Seen")

CORES = os.cpu_count() or 1
OPENING = min(16, 4 * CORES)
"""Threads to open files, which mostly waits for the disk or the network."""


def look_at(items: Iterable[Item], look: Callable[[Item], Seen], threads: int = OPENING) -> list[Seen]:
    """What ``look`` returns of each item, in order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(look, items))
