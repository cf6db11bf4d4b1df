"""The files of one volume: NIfTI, FreeSurfer, Analyze, MetaImage and NRRD, and DICOM slices.

Every one is opened as a NIfTI image with an affine in RAS+, so that geometry is the same for all. A header is
checked first: what it announces must be a grey image, and fit into the file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError, io_orientation
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from learner_ray.cohort.listing import size_and_time
from learner_ray.cohort.scan_files import is_pair, names_voxels
from learner_ray.imaging import analyze, dicom_slices, itk
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.limits import ZIP_MOST, gunzip

DAMAGE = (
    ImageFileError, HeaderDataError, OrientationError, EOFError, ValueError, OSError, zlib.error,
    ArithmeticError, LookupError, TypeError,
)  # fmt: skip
"""Errors that nibabel raises on a damaged file."""

_GZIP_MAGIC = b"\x1f\x8b"
_AROUND_VOXELS = 1 << 24
"""Bytes that a file holds beside its voxels at most, such as the extensions of its header."""
_FORMATS = {".hdr": "Analyze", ".img": "Analyze", ".mgh": "MGH", ".mgz": "MGH", ".mha": "MetaImage",
            ".mhd": "MetaImage", ".nrrd": "NRRD", ".nhdr": "NRRD"}  # fmt: skip
_HEADER_BYTES = nibabel.Nifti2Header.sizeof_hdr
"""Bytes at the start of a file that hold its header; that of MGH is shorter."""


def format_of(path: str) -> str:
    """The format that a volume's suffix states."""
    return _FORMATS.get(Path(path).suffix.lower(), "NIfTI")


@dataclass(frozen=True, kw_only=True)
class VolumeHeader:
    """What the header of a volume states."""

    shape: tuple[int, ...]
    """Voxels along each axis, as stored."""
    affine: NDArray[np.float64]
    """From voxels to places in RAS+, (4, 4)."""
    unit: str = "mm"
    """Unit of these places, as NIfTI names it; ``unknown`` where it is not stated."""

    @property
    def axes(self) -> list[int]:
        """The stored axes of a volume that lead to the patient's right or left, the front or back, and up or
        down.

        Raises:
            OrientationError, ValueError: the affine matrix states none, as it holds NaN or a row of zeros.
        """
        order = io_orientation(self.affine)[:, 0]
        if np.isnan(order).any():
            raise OrientationError("its affine matrix does not turn it to the axes of the patient")
        return [int(axis) for axis in order.argsort()]


def read_header(files: Sequence[str]) -> VolumeHeader:
    """The header of a volume.

    Args:
        files: as for :func:`open_volume`.

    Raises:
        ScanError: it is damaged, not one grey image of two or three dimensions, or needs a package that is
            not installed.
    """
    if len(files) > 1 and not is_pair(files):
        return _series_header(files)
    path = files[0 if names_voxels(files[0]) else -1]
    try:
        header = _header_of(path)
        if len(long_axes(header.shape)) == 3:
            _ = header.axes  # without them it cannot be shown
        return header
    except DAMAGE as error:
        raise _unreadable(path, error) from error


_series: dict[bytes, VolumeHeader] = {}
"""Headers of series that this process has read, by the hash of their files' names, sizes and times."""


def _series_header(files: Sequence[str]) -> VolumeHeader:
    """The header of a series. A command asks for it several times, and some hundred slices take long."""
    stamps = [(path, size_and_time(path)) for path in files]
    key = hashlib.sha256(repr(stamps).encode()).digest()
    if key not in _series:
        shape, affine = dicom_slices.placed(dicom_slices.read_places(files))
        _series[key] = VolumeHeader(shape=shape, affine=affine)
    return _series[key]


def _header_of(path: str) -> VolumeHeader:
    """The header of a volume in one file, or in two of which one is named."""
    if analyze.is_half(path):
        return _pair_header(path)
    if format_of(path) in itk.FORMATS:
        found = itk.read_header(path)
        _check(found.voxels, found.shape, found.voxel, zipped=found.zipped)
        return VolumeHeader(shape=found.shape, affine=found.affine)
    return _single_header(path)


def open_volume(files: Sequence[str]) -> nibabel.Nifti1Image:
    """Opens a volume, as NIfTI-1 or NIfTI-2.

    Args:
        files: its file, header and voxels of a pair, or the DICOM slices of one series in any order.

    Raises:
        ScanError: it is damaged, not one grey image of two or three dimensions, or needs a package that is
            not installed.
    """
    if len(files) > 1 and not is_pair(files):
        return dicom_slices.read_slices(files)
    path = files[0 if names_voxels(files[0]) else -1]
    try:
        if analyze.is_half(path):
            _pair_header(path)
            return analyze.read_pair(path)
        if format_of(path) in itk.FORMATS:
            _header_of(path)
            return itk.read_volume(path)
        return _read_single(path)
    except DAMAGE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> ScanError:
    return ScanError(path, f"cannot be read as {format_of(path)} ({error})")


def _single_header(path: str) -> VolumeHeader:
    with open(path, "rb") as stream:
        zipped = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with gzip.open(path) if zipped else open(path, "rb") as stream:
        start = stream.read(_HEADER_BYTES)
    return _stated(path, _header(_kind(path, start), start), zipped=zipped)


def _held_most(header: Any) -> int:
    """Bytes that a file with a header holds at most, unpacked."""
    voxels = math.prod(map(int, header.get_data_shape())) * header.get_data_dtype().itemsize
    return int(voxels) + int(header.get_data_offset()) + _AROUND_VOXELS


def _read_single(path: str) -> nibabel.Nifti1Image:
    """An image in one file; unzipped as a whole, since nibabel stops before the checksum at the end."""
    content = Path(path).read_bytes()
    zipped = content.startswith(_GZIP_MAGIC)
    if zipped:
        with gzip.open(io.BytesIO(content)) as stream:
            start = stream.read(_HEADER_BYTES)
        header = _header(_kind(path, start), start)
        _stated(path, header, zipped=True)
        content = gunzip(content, _held_most(header))
    kind = _kind(path, content[:_HEADER_BYTES])
    _stated(path, _header(kind, content), zipped=zipped)
    image = kind.from_bytes(content)
    if isinstance(image, nibabel.Nifti1Image):
        return image
    return nibabel.Nifti1Image(np.asarray(image.dataobj, dtype=np.float32), image.affine)


def _header(kind: Any, start: bytes) -> Any:
    if kind is nibabel.MGHImage:
        return kind.header_class(start)
    return kind.header_class(start[: kind.header_class.sizeof_hdr])


def _kind(path: str, start: bytes) -> Any:
    """The class of an image, from its first bytes."""
    if format_of(path) == "MGH":
        return nibabel.MGHImage
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        if kind.header_class.may_contain_header(start[: kind.header_class.sizeof_hdr]):
            return kind
    raise ImageFileError("no NIfTI header")


def _pair_header(path: str) -> VolumeHeader:
    image = analyze.pair_of(path)[1]
    header, affine = analyze.read_header(path)
    return _stated(image, header, zipped=False, affine=affine)


def _stated(
    path: str, header: Any, *, zipped: bool, affine: NDArray[np.float64] | None = None
) -> VolumeHeader:
    """What nibabel's header states, after a check."""
    begins = int(header.get_data_offset())
    _check(path, header.get_data_shape(), header.get_data_dtype(), zipped=zipped, begins=begins)
    unit = header.get_xyzt_units()[0] if isinstance(header, nibabel.Nifti1Header) else "mm"
    affine = header.get_best_affine() if affine is None else affine
    return VolumeHeader(shape=tuple(map(int, header.get_data_shape())), affine=affine, unit=unit)


def _check(path: str, shape: Sequence[int], voxel: np.dtype[Any], *, zipped: bool, begins: int = 0) -> None:
    """Refuses a file that is not one grey image, or whose header announces more voxels than the file can
    hold, which would take all memory; or that they begin beyond its end."""
    shape = [int(length) for length in shape]
    if any(length != 1 for length in shape[3:]):
        said = " x ".join(map(str, shape))
        raise ScanError(path, f"holds several volumes ({said}); write the one that you mean as a file")
    if len(long_axes(shape)) not in (2, 3) or voxel.kind not in "iufb":
        kind = f"shape {tuple(shape)} of {voxel}"
        raise ScanError(path, f"has {kind}; expected one grey image of 2 or 3 dimensions")
    size, announced = os.path.getsize(path), math.prod(shape) * voxel.itemsize
    if min(shape, default=0) < 0 or begins < 0:
        raise ValueError(f"its header announces {' x '.join(map(str, shape))} voxels from byte {begins}")
    if max(announced, begins) > size * (ZIP_MOST if zipped else 1):
        raise ValueError(f"its header announces {announced} bytes of voxels, the file holds {size}")


def long_axes(shape: Sequence[int]) -> list[int]:
    """The axes along which there is more than one voxel."""
    return [axis for axis, length in enumerate(shape) if length != 1]
