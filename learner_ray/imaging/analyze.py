"""Volumes in two files: ``.hdr`` and ``.img`` of Analyze 7.5, or of NIfTI.

A NIfTI pair states its orientation in full. The header of Analyze 7.5 has one byte for it, which most
programs neither read nor write; images that lie otherwise than it says are common, those of OASIS-1 among
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from learner_ray.cohort.scan_files import partner_of

_STORED = ("LAS", "LSA", "ASL", "LPS", "LIA", "AIL")
"""Where the stored axes lead, by the byte ``orient``: transverse, coronal, sagittal, and these three flipped,
as ``avw_img_read`` of the EEG mri_toolbox reads it. Other programs take other signs."""
_OASIS1 = re.compile(r"OAS1_\d{4}_MR\d+_mpr(-\d+_anon|_n\d+_anon_sbj_111)\.(img|hdr)", re.IGNORECASE)
"""Images of OASIS-1 as scanned, and their averages. Those in atlas space (``t88``) are transverse, as their
header says."""
_OASIS1_STORED = "ASL"
"""Where their axes lead, which their headers state wrongly: the affine matrix that Clinica's converter
(``oasis_to_bids``) took from FreeSurfer for ``sbj_111``, and brainder.org (2011) gives for the raw ones."""


def is_half(path: str) -> bool:
    """Whether a file is one of a pair, by its suffix."""
    return Path(path).suffix.lower() in (".hdr", ".img")


def pair_of(path: str) -> tuple[str, str]:
    """Header and image of a volume, from either; the other need not exist."""
    header, image = sorted((path, partner_of(path)), key=lambda each: each.lower())
    return header, image


def stated_by_name(path: str) -> str:
    """Where the axes of an image lead that is known by its name to lie otherwise than its header says; empty
    for any other."""
    return _OASIS1_STORED if _OASIS1.fullmatch(Path(path).name) else ""


def read_header(path: str) -> tuple[Any, NDArray[np.float64]]:
    """The header of a pair, named by either of its files, as nibabel's class of its kind; and the affine
    matrix (4, 4) in RAS+.

    Raises:
        ImageFileError, HeaderDataError: it is damaged.
        OSError: it cannot be opened.
    """
    content = Path(pair_of(path)[0]).read_bytes()
    header = _kind(content).header_class(content[: nibabel.AnalyzeHeader.sizeof_hdr])
    if isinstance(header, nibabel.Nifti1Header):
        return header, header.get_best_affine()
    (orient,) = header["orient"].tobytes()
    stored = stated_by_name(path) or _STORED[orient if orient < len(_STORED) else 0]
    return header, _affine(stored, header.get_zooms()[:3])


def orientation_is_doubtful(path: str) -> bool:
    """Whether nothing but the one byte of Analyze 7.5 says how an image lies; false of what is damaged."""
    with suppress(ImageFileError, HeaderDataError, OSError):
        return not stated_by_name(path) and not isinstance(read_header(path)[0], nibabel.Nifti1Header)
    return False


def read_pair(path: str) -> nibabel.Nifti1Image:
    """The volume of a pair, named by either of its files.

    Raises:
        ImageFileError, HeaderDataError, OSError, ValueError: it is damaged.
    """
    _, affine = read_header(path)
    header, image = (Path(each).read_bytes() for each in pair_of(path))
    holders = {"header": FileHolder(fileobj=BytesIO(header)), "image": FileHolder(fileobj=BytesIO(image))}
    found = _kind(header).from_file_map(holders)
    return nibabel.Nifti1Image(np.asarray(found.dataobj, dtype=np.float32), affine)


def _kind(header: bytes) -> Any:
    if nibabel.Nifti1Pair.header_class.may_contain_header(header[: nibabel.AnalyzeHeader.sizeof_hdr]):
        return nibabel.Nifti1Pair
    return nibabel.AnalyzeImage


def _affine(stored: str, zooms: Sequence[float]) -> NDArray[np.float64]:
    """The affine matrix, without an origin, of axes that lead where the letters of ``stored`` say."""
    affine = np.eye(4)
    turned = nibabel.orientations.axcodes2ornt(stored)
    affine[:3, :3] = 0.0
    for axis, (world, sign) in enumerate(turned):
        affine[int(world), axis] = sign * zooms[axis]
    return affine
