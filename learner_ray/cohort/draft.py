"""The first draft of a manifest: a folder's scans, with the other columns to be filled in."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cohort.scan_files import partner_of
from learner_ray.cohort.unrecognised import count_kinds, files_below
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_atomic


def write_draft(folder: Path, out: Path, suffixes: Sequence[str]) -> int:
    """Lists the scans below a folder in a manifest whose patients, visits and scores are empty.

    Nothing is guessed from names: an id or a visit taken from the wrong part of one would go unnoticed.

    Args:
        folder: where the scans lie.
        out: the manifest, which must not exist; paths are relative to its folder where they lie below it.
        suffixes: the ends of names that make a file a scan.

    Returns:
        The number of scans.

    Raises:
        UserError: there is no such folder, no scan in it, or the manifest exists.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the one that holds the scans")
    if out.exists():
        raise UserError(f"{out} exists: name another file in --out, so that nothing filled in is lost")
    if out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: name a file ending in .csv")
    found = [path for path in files_below(folder) if path.name.lower().endswith(tuple(suffixes))]
    scans = [path for path in found if not _is_header(path)]
    if not scans:
        kinds = count_kinds(files_below(folder)) or "no file"
        raise UserError(f"{folder} holds no scan that can be read ({' '.join(suffixes)}); found: {kinds}")
    home = out.absolute().parent
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("path", "patient", "visit", "score"))
    for path in scans:
        whole = path.absolute()
        rows.writerow((os.path.relpath(whole, home) if whole.is_relative_to(home) else whole, "", "", ""))
    write_atomic(out, text.getvalue())
    return len(scans)


def _is_header(path: Path) -> bool:
    """Whether a file is the header of an image beside it, which stands for both."""
    return path.suffix.lower() == ".hdr" and Path(partner_of(str(path))).is_file()
