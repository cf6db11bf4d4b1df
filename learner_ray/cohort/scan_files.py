"""Which files are one scan: the header and the voxels of a pair, and the MR slices of a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from learner_ray.cohort.dicom_tags import DicomError, is_dicom, read_tags

_PARTNERS = {".hdr": ".img", ".img": ".hdr"}
_NAMES_VOXELS = {
    ".mhd": re.compile(rb"^ElementDataFile *= *(.+?) *\r?$", re.MULTILINE),
    ".nhdr": re.compile(rb"^data ?file *: *(.+?) *\r?$", re.MULTILINE | re.IGNORECASE),
}
"""What a header of MetaImage or NRRD calls the file of its voxels."""
_HEADER_BYTES = 1 << 16
"""Bytes at the start of a file within which such a header ends."""
HEADERS = (".hdr", *_NAMES_VOXELS)
"""Suffixes of headers whose voxels lie in another file."""


def partner_of(path: str) -> str:
    """The other file of a pair ``.hdr`` and ``.img``, in capitals where this one is."""
    stem, suffix = os.path.splitext(path)
    other = _PARTNERS[suffix.lower()]
    return stem + (other.upper() if suffix.isupper() else other)


def names_voxels(path: str) -> bool:
    """Whether a file is a header, by its suffix, that names the file of its voxels."""
    return os.path.splitext(path)[1].lower() in _NAMES_VOXELS


def voxels_of(path: str) -> str:
    """The file of the voxels that a header ``.mhd`` or ``.nhdr`` names: itself where they follow it, empty
    where it names none, several, or one in another folder.

    Raises:
        OSError: the header cannot be opened.
    """
    with open(path, "rb") as stream:
        found = _NAMES_VOXELS[os.path.splitext(path)[1].lower()].search(stream.read(_HEADER_BYTES))
    name = os.fsdecode(found[1]) if found else ""
    if name.upper() == "LOCAL":
        return path
    if not name or os.path.basename(name) != name or "%" in name or name.upper().split()[0] == "LIST":
        return ""
    return os.path.join(os.path.dirname(path), name)


def is_pair(files: Sequence[str]) -> bool:
    """Whether files are the header and the voxels of one volume, in this order."""
    if len(files) != 2:
        return False
    if names_voxels(files[0]):
        with suppress(OSError):
            return voxels_of(files[0]) == files[1]
        return False
    return files[0].lower().endswith(".hdr") and partner_of(files[0]) == files[1]


def files_of_scan(path: str) -> tuple[str, ...] | str:
    """All files of the scan that a file or folder stands for, or why it stands for none: of a pair the header
    and the image, of a folder its files where these are DICOM slices of MR, else the file alone.

    Args:
        path: where it is a folder, hidden files in it do not count.
    """
    if not os.path.isfile(path):
        return _slices(Path(path)) if os.path.isdir(path) else "does not exist; correct the path"
    if names_voxels(path):
        return _with_voxels(path)
    if os.path.splitext(path)[1].lower() not in _PARTNERS:
        return (path,)
    partner = partner_of(path)
    if not os.path.isfile(partner):
        return f"needs {os.path.basename(partner)} beside it; put it there, or leave the scan out"
    return (path, partner) if path.lower().endswith(".hdr") else (partner, path)


def _with_voxels(path: str) -> tuple[str, ...] | str:
    try:
        voxels = voxels_of(path)
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if not voxels:
        return "names no single file of voxels beside it; write the volume as one .mha, .nrrd or .nii.gz"
    if not os.path.isfile(voxels):
        return f"needs {os.path.basename(voxels)} beside it; put it there, or leave the scan out"
    return (path,) if voxels == path else (path, voxels)


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
