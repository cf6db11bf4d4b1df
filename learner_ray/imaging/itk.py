"""MetaImage (``.mha``) and NRRD (``.nrrd``) in one file, read by SimpleITK."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from learner_ray.imaging.errors import ScanError

FORMATS = ("MetaImage", "NRRD")
INSTALL = "pip install 'learner-ray[itk]'"

_HEADER_BYTES = 1 << 16
"""Bytes at the start of a file within which its header ends."""
_END = re.compile(rb"^ElementDataFile *=.*\n|^\r?\n", re.MULTILINE)
"""What ends the header: in MetaImage this line, in NRRD an empty one."""
_DETACHED = re.compile(rb"^(data ?file *:|ElementDataFile *=(?! *LOCAL))", re.MULTILINE | re.IGNORECASE)
_ZIPPED = re.compile(rb"^(encoding *: *gz|CompressedData *= *True)", re.MULTILINE | re.IGNORECASE)
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_VOXEL = re.compile(r"(\d+)-bit (unsigned|signed|float)")


def read_header(path: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, kind of a voxel, and whether voxels are compressed.

    Raises:
        ScanError: voxels are in another file or no single grey values, the file is damaged, or SimpleITK is
            not installed.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as stream:
        header = _header(stream.read(_HEADER_BYTES))
    if _DETACHED.search(header):
        raise ScanError(path, "keeps its voxels in another file; write it as one file")
    reader = _reader(path)
    _run(path, reader.ReadImageInformation)
    kind = _simple_itk(path).GetPixelIDValueAsString(reader.GetPixelIDValue())
    voxel = _VOXEL.match(kind)
    if voxel is None:
        raise ScanError(path, f"has voxels of the kind {kind}; expected one grey image of 2 or 3 dimensions")
    bits, number = int(voxel[1]), {"unsigned": "u", "signed": "i", "float": "f"}[voxel[2]]
    return tuple(reader.GetSize()), np.dtype(f"{number}{bits // 8}"), bool(_ZIPPED.search(header))


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
        zlib.decompress(content[len(header) :], _ZLIB_OR_GZIP)
    image = _run(path, _reader(path).Execute)
    voxels = np.asarray(_simple_itk(path).GetArrayViewFromImage(image).T, dtype=np.float32)
    axes = image.GetDimension()
    directions = np.reshape(image.GetDirection(), (axes, axes)) * image.GetSpacing()
    affine = np.eye(4)
    kept = min(axes, 3)
    affine[:kept, :kept] = directions[:kept, :kept]
    affine[:kept, 3] = image.GetOrigin()[:kept]
    affine[:2] *= -1  # from left and posterior, of ITK, to right and anterior
    if all(length == 1 for length in voxels.shape[2:]):
        voxels = voxels[:, ::-1]
    return nibabel.Nifti1Image(voxels, affine)


def _header(start: bytes) -> bytes:
    end = _END.search(start)
    return start[: end.end()] if end else start


def _reader(path: str) -> Any:
    reader = _simple_itk(path).ImageFileReader()
    reader.SetFileName(path)
    reader.SetImageIO("NrrdImageIO" if path.lower().endswith(".nrrd") else "MetaImageIO")
    return reader


def _run(path: str, read: Any) -> Any:
    try:
        return read()
    except RuntimeError as error:
        reason = str(error).rpartition("ERROR: ")[2]
        raise ScanError(path, f"cannot be read by SimpleITK ({reason[:200]})") from error


def _simple_itk(path: str) -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise ScanError(path, f"needs the package SimpleITK; {INSTALL}") from error
    return SimpleITK
