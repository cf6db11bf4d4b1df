"""Which files are one scan: the header and the image of a pair, and the MR slices of a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from learner_ray.cohort.dicom_tags import DicomError, is_dicom, read_tags

_PARTNERS = {".hdr": ".img", ".img": ".hdr"}


def partner_of(path: str) -> str:
    """The other file of a pair ``.hdr`` and ``.img``, in capitals where this one is."""
    stem, suffix = os.path.splitext(path)
    other = _PARTNERS[suffix.lower()]
    return stem + (other.upper() if suffix.isupper() else other)


def files_of_scan(path: str) -> tuple[str, ...] | str:
    """All files of the scan that a file or folder stands for, or why it stands for none: of a pair the header
    and the image, of a folder its files where these are DICOM slices of MR, else the file alone.

    Args:
        path: where it is a folder, hidden files in it do not count.
    """
    if not os.path.isfile(path):
        return _slices(Path(path)) if os.path.isdir(path) else "does not exist; correct the path"
    if os.path.splitext(path)[1].lower() not in _PARTNERS:
        return (path,)
    partner = partner_of(path)
    if not os.path.isfile(partner):
        return f"needs {os.path.basename(partner)} beside it; put it there, or leave the scan out"
    return (path, partner) if path.lower().endswith(".hdr") else (partner, path)


def is_mr_slice(path: str) -> bool:
    """Whether a file is DICOM of MR; false where it cannot be read."""
    with suppress(DicomError, OSError):
        return read_tags(path).kind == "mr"
    return False


def _slices(folder: Path) -> tuple[str, ...] | str:
    found = sorted(str(file) for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    if found and is_mr_slice(found[0]) and all(map(is_dicom, found)):
        return tuple(found)
    return "is a folder, but not of MR slices alone; name its files, in a manifest as frames/*.png in files"
