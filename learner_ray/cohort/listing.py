"""The list of what each of a cohort's files was found to hold: whoever has it need not read them again.

A study keeps it as ``content.json``. Sizes and times of change are compared and nothing else of a stamp: on
another node the same file has another inode.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from learner_ray.cohort.cohort import Cohort

NAME = "content.json"


def content_list(
    cohort: Cohort, stamps: Mapping[str, tuple[int, int]], looks: Mapping[str, str]
) -> dict[str, Any]:
    """The list as plain values.

    Args:
        cohort: has the ``contents`` of all its files.
        stamps: size and time of change (ns) of each file, from before it was read, by path.
        looks: what is odd about scans, by scan id.
    """
    scans = {}
    for scan, files in zip(cohort.scans["scan"], cohort.scans["files"], strict=True):
        listed = [(path, *stamps[path], cohort.contents[path]) for path in files]
        keys = ("path", "size", "mtime_ns", "sha256")
        entry: dict[str, Any] = {"files": [dict(zip(keys, file, strict=True)) for file in listed]}
        scans[scan] = {**entry, "look": looks[scan]} if scan in looks else entry
    return {"cohort_hash": cohort.hash, "scans": scans}


def listed_contents(cohort: Cohort, values: Any) -> dict[str, str]:
    """SHA-256 by path of those files of a cohort that still have the size and time that a list states.

    Args:
        cohort: of the same scan ids, wherever its files lie.
        values: a list; of one that is damaged nothing is believed.
    """
    found = {}
    try:
        for scan, files in zip(cohort.scans["scan"], cohort.scans["files"], strict=True):
            for path, file in zip(files, values["scans"].get(scan, {"files": ()})["files"], strict=False):
                if size_and_time(path) == (file["size"], file["mtime_ns"]):
                    found[path] = str(file["sha256"])
    except (KeyError, TypeError, AttributeError):
        return {}
    return found


def size_and_time(path: str) -> tuple[int, int] | None:
    """Bytes, and nanoseconds of the last change, of a file; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
