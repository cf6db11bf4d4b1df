"""The message about a folder or table that is not recognised: what was found, what is needed, how to
begin."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

_KINDS_SHOWN = 8
_COLUMNS_SHOWN, _LONGEST_NAME = 12, 40
_MOST_FILES = 100_000
"""Files that are looked at: a mistyped path may be the root of an archive."""

_EXAMPLE = ("path,patient,visit,score", "clips/p01_a.mp4,P01,1,310", "clips/p01_b.mp4,P01,2,355")


def about_folder(path: Path, needs: Mapping[str, str]) -> str:
    """Says what a folder in no known layout holds, and what to do with it.

    Args:
        path: the folder.
        needs: what folders of each layout hold, by layout.
    """
    return "\n".join(
        [
            f"{path} is not recognised.",
            f"Found: {count_kinds(files_below(path)) or 'no file'}",
            "Looked for:",
            "  manifest: manifest.csv or manifest.tsv",
            *(f"  {name}: {needed}" for name, needed in needs.items()),
            *how_to_begin(path),
        ]
    )


def about_table(path: Path, columns: Sequence[str], rows: int, missing: Sequence[str]) -> str:
    """Says what a table that is not a manifest holds, and what to do with it."""
    found = ", ".join(name[:_LONGEST_NAME] for name in columns[:_COLUMNS_SHOWN]) or "none"
    more = f" and {len(columns) - _COLUMNS_SHOWN} more" if len(columns) > _COLUMNS_SHOWN else ""
    return "\n".join(
        [
            f"{path}, row 1: no column {', '.join(missing)}; found: {found}{more} ({rows} rows)",
            *how_to_begin(path.parent),
        ]
    )


def how_to_begin(folder: Path) -> list[str]:
    """Lines that show a manifest, and the command that begins one."""
    return [
        "A manifest has one row per scan; visit may also be a date (2024-01-31) or day (-5):",
        *(f"  {line}" for line in _EXAMPLE),
        "List a folder's scans in one, to be filled in, with:",
        f"  python -m learner_ray.cohort draft {folder} --out manifest.csv",
    ]


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden, in the order of their names."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def count_kinds(files: Iterator[Path]) -> str:
    """Counts files by the end of their names, as in "120 .mp4, 2 .csv"."""
    kinds = Counter(_kind(path) for path in islice(files, _MOST_FILES))
    shown = [f"{n} {kind}" for kind, n in kinds.most_common(_KINDS_SHOWN)]
    others = sum(kinds.values()) - sum(n for _, n in kinds.most_common(_KINDS_SHOWN))
    return ", ".join([*shown, *([f"{others} of other kinds"] if others else [])])


def _kind(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower() or "without a suffix"
