"""Files with the same content: those of two patients would be trained and tested on, those of one counted
twice.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.content import content_hashes
from learner_ray.cohort.faults import FaultsError
from learner_ray.cohort.scan_files import HEADERS

_REMEDY = "remove the copies, or continue with --allow-duplicates if all of them are intended"


@dataclass(frozen=True)
class Duplicate:
    """A file that holds what an earlier one of the cohort holds, byte for byte."""

    line: str
    """A line that names both files and their rows."""
    whose: str
    """``another patient``, ``the same patient`` or ``the same scan``."""


def find_duplicates(
    cohort: Cohort, contents: Mapping[str, str], *, without: Collection[str] = ()
) -> list[Duplicate]:
    """Files of a cohort that hold the same, in the order of their rows.

    Args:
        cohort: its files are compared, within scans and across.
        contents: SHA-256 by path; files that are not in it are compared with none.
        without: ids of scans that are left out.
    """
    scans = cohort.scans[~cohort.scans["scan"].isin(set(without))].sort_values(["source", "row", "scan"])
    rows: list[Any] = list(scans.itertuples(index=False))
    # Headers beside their images are alike wherever a device was set alike.
    files: list[tuple[Any, str]] = [
        (scan, path) for scan in rows for path in scan.files if not path.lower().endswith(HEADERS)
    ]
    first: dict[str, tuple[Any, str]] = {}
    found = []
    for scan, path in files:
        content = contents.get(path)
        if content is None:
            continue
        if content not in first:
            first[content] = (scan, path)
            continue
        before, its_path = first[content]
        whose = "the same scan" if before.scan == scan.scan else "another patient"
        if before.scan != scan.scan and before.patient == scan.patient:
            whose = "the same patient"
        there = "" if before.source == scan.source else f"{before.source}, "
        line = (
            f"{scan.source}, row {scan.row}: {_name(scan, path)} has the content of "
            f"{_name(before, its_path)} in {there}row {before.row}, of {whose}"
        )
        found.append(Duplicate(line, whose))
    return found


def _name(scan: Any, path: str) -> str:
    """A file as its owner knows it: by its scan, and by its own name where that has several."""
    return str(scan.scan) if len(scan.files) == 1 else f"{os.path.basename(path)} of {scan.scan}"


def require_distinct(cohort: Cohort, duplicates: Iterable[Duplicate]) -> None:
    """Refuses a cohort that has duplicates.

    Raises:
        FaultsError: there are some; the message lists them.
    """
    found = [(each.whose, each.line) for each in duplicates]
    if found:
        count = "1 file has" if len(found) == 1 else f"{len(found):,} files have"
        raise FaultsError.of(f"{cohort.name}: {count} the same content as another:", found, _REMEDY)


def hashes_of_equal_sizes(cohort: Cohort) -> dict[str, str]:
    """SHA-256 by path of the files that share their size with another; the others are not read.

    Raises:
        UserError: a file cannot be read.
    """
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in dict.fromkeys(cohort.paths):
        by_size[os.path.getsize(path)].append(path)
    alike = [path for paths in by_size.values() if len(paths) > 1 for path in paths]
    return content_hashes(alike, among=cohort.paths)
