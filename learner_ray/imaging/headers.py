"""The kind of a scan's file, found from its name and its first bytes. Decodes nothing, and loads no PyTorch.

The readers open files through the same functions, so that a header refused here is one they refuse.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

import av
import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError
from nibabel.spatialimages import HeaderDataError
from PIL import Image, UnidentifiedImageError

from learner_ray.cohort.dicom_tags import MAGIC_BYTES, begins_dicom, is_dicom
from learner_ray.imaging import dicom_header
from learner_ray.imaging.errors import ScanError

SUFFIXES = {
    "video": (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".gif"),
    "volume": (".nii", ".nii.gz"),
    "picture": (".png", ".jpg", ".jpeg"),
    "dicom": (".dcm", ".dicom", ".ima"),
}
"""Suffixes of the files that can be read, by kind. DICOM is recognised without one, too."""

NIFTI_DAMAGE = (
    ImageFileError, HeaderDataError, OrientationError, EOFError, ValueError, OSError, zlib.error
)  # fmt: skip
"""Errors that nibabel raises on a damaged file."""
PICTURE_DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""Errors that Pillow raises on a damaged file."""
GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip file."""

_GZIP_MOST = 1032
"""Bytes that one byte of gzip can unfold to, at most."""
# Devices write titles in Latin-1; before PyAV 19 that is an error unless asked to be overlooked.
_OPEN_OPTIONS = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def file_kind(path: str) -> str:
    """``volume``, ``video``, ``picture`` or ``dicom``: by a file's suffix or, where that is unknown, by its
    content; empty where it is none that is read."""
    return kind_by_name(path) or ("dicom" if is_dicom(path) else "")


def kind_by_name(path: str) -> str:
    """The kind that a file's suffix states, as in :func:`file_kind`; empty where it states none, and the file
    can only be DICOM."""
    name = PurePath(path).name.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if name.endswith(suffixes)), "")


def check_header(path: str) -> None:
    """Reads the header of a file.

    Raises:
        ScanError: it is missing, empty, of a kind that is not read, or its header is not one of its kind.
    """
    kind = check_kind(path)
    if kind == "video":
        with open_video(path):
            pass
    elif kind == "volume":
        nifti_header(path)
    elif kind == "dicom":
        dicom_header.read_header(path)
    else:
        with open_picture(path):
            pass


def check_kind(path: str) -> str:
    """The kind of a file, as in :func:`file_kind`.

    Raises:
        ScanError: the file is missing or empty, has an unknown suffix, or is DICOM under another name, which
            FFmpeg would open.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(MAGIC_BYTES)
    except OSError as error:
        raise ScanError(path, f"cannot be opened ({error.strerror})") from error
    kind = file_kind(path)
    if not kind:
        known = " ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
        raise ScanError(path, f"is not of a supported kind ({known}, or DICOM without a suffix)")
    if not start:
        raise ScanError(path, "is empty")
    if kind != "dicom" and begins_dicom(start):
        raise ScanError(path, "is a DICOM file with another suffix; rename it to .dcm")
    return kind


@contextmanager
def open_video(path: str) -> Iterator[av.container.InputContainer]:
    """Opens a container with a video stream.

    Raises:
        ScanError: FFmpeg cannot read the file, or it holds no video.
    """
    try:
        with av.open(path, **_OPEN_OPTIONS) as container:
            if not container.streams.video:
                raise ScanError(path, "holds no video")
            yield container
    except av.FFmpegError as error:
        raise ScanError(path, f"cannot be decoded ({error.strerror})") from error


@contextmanager
def open_picture(path: str) -> Iterator[Image.Image]:
    """Opens a picture whose pixels are not read yet.

    Raises:
        ScanError: Pillow cannot read the file, now or when its pixels are read.
    """
    try:
        with Image.open(path) as image:
            yield image
    except UnidentifiedImageError as error:  # whose text is the path again
        raise ScanError(path, "cannot be read as a picture (its format is not known)") from error
    except PICTURE_DAMAGE as error:
        raise ScanError(path, f"cannot be read as a picture ({error})") from error


def nifti_header(path: str) -> nibabel.Nifti1Header:
    """The header of a NIfTI file.

    Raises:
        ScanError: the file is damaged, or refused by :func:`check_nifti`.
    """
    try:
        with open(path, "rb") as stream:
            zipped = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        with gzip.open(path) if zipped else open(path, "rb") as stream:
            start = stream.read(nibabel.Nifti2Header.sizeof_hdr)
        kind = nifti_kind(start).header_class
        header = kind(start[: kind.sizeof_hdr])
        check_nifti(path, header, os.path.getsize(path), zipped=zipped)
        return header
    except NIFTI_DAMAGE as error:
        raise ScanError(path, f"cannot be read as NIfTI ({error})") from error


def nifti_kind(start: bytes) -> type[nibabel.Nifti1Image]:
    """The class of a NIfTI-1 or NIfTI-2 image, from its first bytes.

    Raises:
        ImageFileError: the bytes begin neither.
    """
    kinds: tuple[type[nibabel.Nifti1Image], ...] = (nibabel.Nifti1Image, nibabel.Nifti2Image)
    for kind in kinds:
        if kind.header_class.may_contain_header(start[: kind.header_class.sizeof_hdr]):
            return kind
    raise ImageFileError("no NIfTI header")


def check_nifti(path: str, header: nibabel.Nifti1Header, size: int, *, zipped: bool) -> None:
    """Refuses a file that is not a grey image, or whose header announces more voxels than the file can hold,
    which would take all memory.

    Args:
        path: the file.
        header: its header.
        size: bytes of the file as stored.
        zipped: whether the file is compressed by gzip.

    Raises:
        ScanError: the file is refused.
    """
    shape, voxel = [int(length) for length in header.get_data_shape()], header.get_data_dtype()
    if len(long_axes(shape)) not in (2, 3) or voxel.kind not in "iufb":
        kind = f"shape {tuple(shape)} of {voxel}"
        raise ScanError(path, f"has {kind}; expected one grey image of 2 or 3 dimensions")
    announced = math.prod(shape) * np.dtype(voxel).itemsize
    if announced > size * (_GZIP_MOST if zipped else 1):
        reason = f"its header announces {announced} bytes of voxels, the file holds {size}"
        raise ScanError(path, f"cannot be read as NIfTI ({reason})")


def long_axes(shape: Sequence[int]) -> list[int]:
    """The axes along which there is more than one voxel."""
    return [axis for axis, length in enumerate(shape) if length != 1]
