"""The list of a cohort's files with their hashes, so that other processes need not read them again.

A study keeps it as ``content.json``. Only sizes and times of change are compared, since the same file has
another inode on another node.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from learner_ray.cohort.cohort import Cohort, files_read

NAME = "content.json"


def content_list(
    cohort: Cohort, stamps: Mapping[str, tuple[int, int]], looks: Mapping[str, str]
) -> dict[str, Any]:
    """The list as plain values.

    Args:
        cohort: its ``contents`` hold the hash of every file.
        stamps: size in bytes and time of change in ns of each file before it was read, by path.
        looks: what is unusual about scans, by scan id.
    """
    scans = {}
    rows: Iterable[Any] = cohort.scans.itertuples(index=False)
    for row in rows:
        scan = str(row.scan)
        # A mask that the configuration leaves unused was not read.
        read = [path for path in files_read(row) if path in row.files or path in cohort.contents]
        listed = [(path, *stamps[path], cohort.contents[path]) for path in read]
        keys = ("path", "size", "mtime_ns", "sha256")
        entry: dict[str, Any] = {"files": [dict(zip(keys, file, strict=True)) for file in listed]}
        scans[scan] = {**entry, "look": looks[scan]} if scan in looks else entry
    return {"cohort_hash": cohort.hash, "scans": scans}


def listed_contents(cohort: Cohort, values: Any) -> dict[str, str]:
    """SHA-256 by path of the files of a cohort that still have the size and time that a list states.

    Args:
        cohort: has the scan ids of the list; its files may lie elsewhere.
        values: the list; a damaged one counts as empty.
    """
    found = {}
    try:
        for row in cohort.scans.itertuples(index=False):
            listed = values["scans"].get(row.scan, {"files": ()})["files"]
            for path, file in zip(files_read(row), listed, strict=False):
                if size_and_time(path) == (file["size"], file["mtime_ns"]):
                    found[path] = str(file["sha256"])
    except (KeyError, TypeError, AttributeError):
        return {}
    return found


def size_and_time(path: str) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns of a file; None where there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
