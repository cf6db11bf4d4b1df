"""The slices of one MR series as a volume (DICOM PS3.3 C.7.6.2, Image Plane Module)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel
import numpy as np
from numpy.typing import NDArray

from learner_ray.imaging.dicom_header import GREYS, DicomHeader, read_header
from learner_ray.imaging.errors import ScanError

_UNEVEN = 0.05
"""Gaps between slices differ by this part of the usual gap at most; beyond it a slice is missing."""
_ANGLE = 1e-3
"""Direction cosines of slices of one volume differ by no more."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One slice, and where it lies in the coordinates of DICOM: left, posterior and superior, in mm."""

    path: str
    header: DicomHeader
    corner: NDArray[np.float64]
    """Centre of the first pixel, (3,)."""
    directions: NDArray[np.float64]
    """Along a row, and down a column, unit vectors (2, 3)."""
    spacing: tuple[float, float]
    """mm from column to column, and from row to row."""
    series: str
    """SeriesInstanceUID."""

    @property
    def height(self) -> float:
        """Position along the normal of the slice, in mm."""
        return float(np.cross(*self.directions) @ self.corner)


def read_places(files: Sequence[str]) -> list[Slice]:
    """The slices of a volume in the order of their positions. No pixel is read.

    Args:
        files: at least two, in any order.

    Raises:
        ScanError: one is no slice of MR, they are of several series, orientations or sizes, two lie at one
            place, or one is missing between others.
    """
    slices = sorted(map(_read, files), key=lambda each: each.height)
    first = slices[0]
    for each in slices[1:]:
        if each.series != first.series:
            raise ScanError(each.path, "is of another series than other files of the scan; list one series")
        same = (each.header.height, each.header.width) == (first.header.height, first.header.width)
        if not (same and np.allclose(each.spacing, first.spacing, rtol=1e-3)):
            raise ScanError(each.path, "has another matrix or pixel size than other slices of its series")
        if np.abs(each.directions - first.directions).max() > _ANGLE:
            raise ScanError(each.path, "lies in another direction than other slices of its series")
    gaps = np.diff([each.height for each in slices])
    usual = float(np.median(gaps))
    for gap, each in zip(gaps, slices[1:], strict=True):
        if gap < _ANGLE:
            raise ScanError(
                each.path, "lies where another slice does: the files hold several volumes; list one"
            )
        if abs(gap - usual) > _UNEVEN * usual:
            said = f"lies {gap:.2f} mm from the slice before it, others {usual:.2f} mm"
            raise ScanError(each.path, f"{said}; a slice may be missing, so export the series again")
    return slices


def _read(path: str) -> Slice:
    header = read_header(path, of_series=True)
    tags = header.tags
    if header.frames != 1 or header.colours not in GREYS or "MOSAIC" in tags.text("ImageType").upper():
        kind = "holds several slices" if header.colours in GREYS else "is in colour"
        raise ScanError(path, f"{kind}; make a volume of its series with 'learner-ray import dicom FOLDER'")
    corner, turned = tags.numbers("ImagePositionPatient"), tags.numbers("ImageOrientationPatient")
    spacing = tags.numbers("PixelSpacing")  # from row to row first
    if (len(corner), len(turned), len(spacing)) != (3, 6, 2) or min(spacing) <= 0:
        raise ScanError(path, "does not say where its slice lies; export it from the archive again")
    return Slice(
        path=path,
        header=header,
        corner=np.array(corner),
        directions=np.reshape(turned, (2, 3)),
        spacing=(spacing[1], spacing[0]),
        series=tags.text("SeriesInstanceUID"),
    )


def read_slices(files: Sequence[str]) -> nibabel.Nifti1Image:
    """The volume of a series: values in the file's own scale (RescaleSlope and RescaleIntercept of each
    slice), float32 (columns, rows, slices).

    Args:
        files: as for :func:`read_places`.

    Raises:
        ScanError: as there, or pixels cannot be decoded.
    """
    slices = read_places(files)
    voxels = np.stack([_values(each).T for each in slices], axis=-1)
    return nibabel.Nifti1Image(voxels, placed(slices)[1])


def placed(slices: Sequence[Slice]) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """The shape of the volume of ordered slices, and its affine matrix (4, 4) in RAS+."""
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[0]
    affine[:3, 1] = first.directions[1] * first.spacing[1]
    affine[:3, 2] = (last.corner - first.corner) / (len(slices) - 1)
    affine[:3, 3] = first.corner
    affine[:2] *= -1  # from left and posterior to right and anterior
    return (first.header.width, first.header.height, len(slices)), affine


def _values(each: Slice) -> NDArray[np.float32]:
    from learner_ray.imaging.dicom_pixels import decoded, upright  # loads PyTorch, which headers do not need

    (stored,) = decoded(each.path, each.header)
    offset = (1 << each.header.bits) // 2 if each.header.signed else 0
    slope, intercept = (each.header.tags.numbers(f"Rescale{of}") for of in ("Slope", "Intercept"))
    values = upright(stored, each.header) - offset
    scaled = values * abs(slope[0] if slope else 1.0) + (intercept[0] if intercept else 0.0)
    return scaled.astype(np.float32)
