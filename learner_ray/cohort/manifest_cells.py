"""The cells of one row of a manifest: which files a scan is in, and when its visit was."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from datetime import datetime
from glob import glob
from pathlib import Path

from learner_ray.cohort.crop import normal_crop
from learner_ray.cohort.scan_files import files_of_scan

TIMES = ("visit", "date", "day")
"""The columns that say when a visit was."""
_SECONDS_PER_DAY = 86_400


def listed_files(folder: Path, values: Mapping[str, str], named: str, wrong: list[str]) -> tuple[str, ...]:
    """The files of a row's scan: those that ``files`` names or its patterns match, in this order, else those
    that ``path`` stands for."""
    if not values["files"]:
        if not values["path"]:
            return (named,)
        return _files_of_scan(named, values["path"], wrong)
    found: list[str] = []
    for part in (part.strip() for part in values["files"].split(";")):
        matched = [part] if (folder / part).is_file() else sorted(glob(part, root_dir=folder), key=_natural)
        files = [file for file in matched if (folder / file).is_file()]
        for file in files:
            both = _files_of_scan(os.path.abspath(folder / file), file, wrong)
            if len(both) == 1 or both[0] not in found:  # the other one of a pair may be listed, too
                found += both
        if not files:
            wrong.append(f"{part} in files does not exist; correct it")
    return tuple(found)


def part_seen(folder: Path, values: Mapping[str, str], wrong: list[str]) -> tuple[str, str]:
    """The part of a row's scan that is to be seen: its ``crop``, rewritten as ``x0,y0,x1,y1``, and the
    absolute path of its ``mask``; each empty where the cell is."""
    crop, mask = normal_crop(values["crop"]), ""
    if values["crop"] and not crop:
        wrong.append(
            f"crop {values['crop']!r} is no part of a picture: write it as x0,y0,x1,y1 in whole pixels "
            "from the top left, with x0 < x1 and y0 < y1"
        )
    if values["mask"]:
        mask = os.path.abspath(folder / values["mask"])
        if not os.path.isfile(mask):
            wrong.append(f"mask {values['mask']} does not exist; correct the path, or leave the cell empty")
    return crop, mask


def _files_of_scan(path: str, written: str, wrong: list[str]) -> tuple[str, ...]:
    """All files of the scan that a path stands for."""
    files = files_of_scan(path)
    if isinstance(files, str):
        wrong.append(f"{written} {files}")
        return (path,)
    return files


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def days_of(values: Mapping[str, str], cells: Mapping[str, str], wrong: list[str]) -> dict[str, float]:
    """When a row's visit was, in days, by the columns that tell."""
    wrong += [
        f"{name} is empty; fill it in, or give no {name} column"
        for name in TIMES
        if name in cells and not values[name]
    ]
    days: dict[str, float] = {}
    if values["date"]:
        when = _date(values["date"])
        if when is None:
            wrong.append(f"date {values['date']!r} is not written as 2024-01-31 or 2024-01-31T08:30")
        else:
            days["date"] = (when - datetime.min).total_seconds() / _SECONDS_PER_DAY
    if values["day"]:
        day = number_of(values["day"].replace("\u2212", "-"))
        if day is None:
            wrong.append(f"day {values['day']!r} is not a number of days: write it as -5 or 12.5")
        else:
            days["day"] = day
    return days


def _date(text: str) -> datetime | None:
    # The pattern first: what else fromisoformat reads depends on the version of Python.
    if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", text, re.ASCII):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def number_of(text: str) -> float | None:
    """The finite number in a cell; None where there is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
