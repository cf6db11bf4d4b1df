"""The list of what an import left out, beside the manifest that it wrote, and how it counts in a cohort."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import Listed
from learner_ray.cohort.table import read_lines
from learner_ray.core.errors import UserError
from learner_ray.core.withheld import without_paths

COLUMNS = ("path", "patient", "visit", "reason")
"""The columns of the list."""
_TABLE_ROW = re.compile(r", row \d+$")


def left_out_path(manifest: Path) -> Path:
    """Where the list of what was left out lies, beside its manifest."""
    return manifest.with_name(f"{manifest.stem}-left-out.csv")


def kind_of(reason: str) -> str:
    """A reason without what is particular to one scan: what stands before a colon or a bracket."""
    return reason.partition(": ")[0].partition(" (")[0]


def with_import(listed: Listed, manifest: Path, files: Collection[str], patients: Collection[str]) -> Listed:
    """The counts of a manifest together with what the import that wrote it left out.

    The flow of scans of a report then begins at what the archive holds, not at the manifest.

    Args:
        listed: the manifest's own counts.
        manifest: the list lies beside it, or there is none.
        files: absolute paths of the files that the manifest lists. A scan among them was added by hand after
            the import and is not counted as left out.
        patients: ids that the manifest lists.

    Returns:
        The counts; ``listed`` itself where there is no list, or another file lies in its place. Rows of a
        table are no scans and not counted. Reasons name no file.
    """
    path = left_out_path(manifest)
    if not path.is_file():
        return listed
    try:
        columns, lines = read_lines(path, Faults(str(path)))
    except UserError:  # it only counts: no reason to refuse a cohort
        return listed
    if not {*COLUMNS} <= {*columns}:
        return listed
    rows = [
        cells
        for _, cells in lines
        if not _TABLE_ROW.search(cells["path"])
        and os.path.abspath(manifest.absolute().parent / cells["path"]) not in files
    ]
    reasons = Counter(f"at import: {without_paths(kind_of(cells['reason']), 'a file')}" for cells in rows)
    known = {*patients, *(cells["patient"].strip() for cells in rows)} - {""}
    return Listed(
        scans=listed.scans + len(rows),
        patients=len(known),
        left_out={**dict(reasons.most_common()), **listed.left_out},
    )
