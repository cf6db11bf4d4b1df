"""MetaImage and NRRD: in one file (``.mha``, ``.nrrd``) or with voxels in another (``.mhd``, ``.nhdr``).

SimpleITK reads them.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from learner_ray.cohort.scan_files import files_of_scan, names_voxels
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.limits import require_unzipped

FORMATS = ("MetaImage", "NRRD")
INSTALL = "pip install 'learner-ray[itk]'"

_HEADER_BYTES = 1 << 16
"""Bytes at the start of a file within which its header ends."""
_END = re.compile(rb"^ElementDataFile *=.*\n|^\r?\n", re.MULTILINE)
"""What ends the header: in MetaImage this line, in NRRD an empty one."""
_DETACHED = re.compile(rb"^(data ?file *:|ElementDataFile *=(?! *LOCAL))", re.MULTILINE | re.IGNORECASE)
_ZIPPED = re.compile(rb"^(encoding *: *gz|CompressedData *= *True)", re.MULTILINE | re.IGNORECASE)
_ADDRESS = re.compile(r"\w+\(0x[0-9a-f]+\): ")
_VOXEL = re.compile(r"(\d+)-bit (unsigned|signed|float)")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the header of a file states."""

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    """From voxels to places in RAS+, (4, 4)."""
    voxel: np.dtype[Any]
    zipped: bool
    """Whether voxels are compressed."""
    voxels: str
    """The file that holds them."""


def read_header(path: str) -> Header:
    """The header of a file.

    Raises:
        ScanError: voxels are in another file or no single grey values, the file is damaged, or SimpleITK is
            not installed.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        header = _header(stream.read(_HEADER_BYTES))
    voxels = _voxels_of(path, header)
    reader = _reader(path)
    _run(path, reader.ReadImageInformation)
    kind = _simple_itk(path).GetPixelIDValueAsString(reader.GetPixelIDValue())
    if (voxel := _VOXEL.match(kind)) is None:
        raise ScanError(path, f"has voxels of the kind {kind}; expected one grey image of 2 or 3 dimensions")
    number = {"unsigned": "u", "signed": "i", "float": "f"}[voxel[2]]
    return Header(
        shape=tuple(map(int, reader.GetSize())),
        affine=_affine(reader),
        voxel=np.dtype(f"{number}{int(voxel[1]) // 8}"),
        zipped=bool(_ZIPPED.search(header)),
        voxels=voxels,
    )


def _voxels_of(path: str, header: bytes) -> str:
    """The file that holds the voxels of a header: its own, unless it is one that names another."""
    if not _DETACHED.search(header):
        return path
    if not names_voxels(path):
        raise ScanError(path, "keeps its voxels in another file; write it as one file")
    found = files_of_scan(path)
    if isinstance(found, str):
        raise ScanError(path, found)
    return found[-1]


def read_volume(path: str) -> nibabel.Nifti1Image:
    """The volume, float32 (X, Y, Z). A lone slice has its first row at the top.

    Raises:
        ScanError: it is damaged, or SimpleITK is not installed.
        zlib.error: its compressed voxels are damaged, which SimpleITK overlooks.
        OSError: the file cannot be opened.
    """
    content = Path(path).read_bytes()
    header = _header(content[:_HEADER_BYTES])
    if _ZIPPED.search(header):
        voxels_at = _voxels_of(path, header)
        zipped = content[len(header) :] if voxels_at == path else Path(voxels_at).read_bytes()
        announced = read_header(path)
        most = math.prod(announced.shape) * announced.voxel.itemsize
        require_unzipped(zipped, most)
    reader = _reader(path)
    image = _run(path, reader.Execute)
    voxels = _simple_itk(path).GetArrayFromImage(image).T.astype(np.float32, copy=False)
    if all(length == 1 for length in voxels.shape[2:]):
        voxels = voxels[:, ::-1]
    return nibabel.Nifti1Image(voxels, _affine(reader))


def _affine(reader: Any) -> NDArray[np.float64]:
    axes = reader.GetDimension()
    directions = np.reshape(reader.GetDirection(), (axes, axes)) * reader.GetSpacing()
    affine, kept = np.eye(4), min(axes, 3)
    affine[:kept, :kept] = directions[:kept, :kept]
    affine[:kept, 3] = reader.GetOrigin()[:kept]
    affine[:2] *= -1  # from left and posterior, of ITK, to right and anterior
    return affine


def _header(start: bytes) -> bytes:
    end = _END.search(start)
    if end is None and len(start) == _HEADER_BYTES:  # it could name another file further down
        raise ValueError(f"its header is longer than {_HEADER_BYTES:,} bytes")
    return start[: end.end()] if end else start


def _reader(path: str) -> Any:
    reader = _simple_itk(path).ImageFileReader()
    reader.SetFileName(path)
    reader.SetImageIO("NrrdImageIO" if path.lower().endswith((".nrrd", ".nhdr")) else "MetaImageIO")
    return reader


def _run(path: str, read: Any) -> Any:
    try:
        return read()
    except RuntimeError as error:
        # The cache keeps the reason: no address in memory, and no path, since the file may be moved.
        reason = _ADDRESS.sub("", str(error).rpartition("ERROR: ")[2]).replace(path, "the file")
        reason = reason.replace(f"{os.path.dirname(path)}{os.sep}", "")
        raise ScanError(path, f"cannot be read by SimpleITK ({reason[:200]})") from error


def _simple_itk(path: str) -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise ScanError(path, f"needs the package SimpleITK; {INSTALL}") from error
    return SimpleITK
