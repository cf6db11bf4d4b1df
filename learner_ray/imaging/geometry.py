"""Frames in mm, so that they show the same of a patient at every visit.

In a volume of a head, a field of view that is larger, or ends lower in the neck, moves and scales nothing:
levels are counted from the top of the head downwards, as FSL's robustfov does, the plane is centred on the
head, and a pixel is a number of mm. What lies outside the volume is black. Of a clip, the depth of the probe
changes no scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from learner_ray.core.sections import DataConfig, PixelSettings
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.fields_of_view import Zooms
from learner_ray.imaging.raster import fit, pad_square

FIELD_MM = 224.0
"""Height and width of a frame that shows a head, unless ``data.mm_per_pixel`` says otherwise. Heads are 180
to 220 mm long."""
SPAN_MM = 128.0
"""Distance from the top of the head to the end of the lowest level: down to below the temporal lobes."""
SLICES = 32
"""Levels that are kept of a volume."""

_LARGEST_PIXEL_MM = 10.0
"""Pixels of a picture are not larger; those of ultrasound and radiographs have a tenth of a mm or so."""
_COARSE_MM = 4.0
"""Pixels in which the head is looked for: large, so that noise in the air does not pass for a head."""
_DARK, _BRIGHT, _EDGE = 2.0, 98.0, 0.1
"""The head is what is brighter than a tenth of the range between these percentiles (BET: Smith 2002, doi
10.1002/hbm.10062)."""
_TOP_MM2 = 1000.0
"""The head begins where this area of a slice is head."""

Voxels = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How frames are taken from a scan; see ``DataConfig`` for the meaning of its keys."""

    levels: Literal["mm", "extent"] = "mm"
    mm_per_pixel: float = 0.0
    slices: int = SLICES
    """Frames taken of a volume."""

    @classmethod
    def of(cls, data: DataConfig | PixelSettings) -> Geometry:
        """The geometry that a configuration states."""
        return cls(levels=data.levels, mm_per_pixel=data.mm_per_pixel)

    def step(self, size: int) -> float:
        """The mm that a pixel of a head shows in frames of ``size`` pixels."""
        return self.mm_per_pixel or FIELD_MM / size

    def fit(self, width: float, height: float, size: int, mm: float | None) -> tuple[int, int]:
        """Width and height in pixels of a picture in a frame of ``size``: its longer side fills the frame,
        unless a pixel is to be a number of mm.

        Args:
            width: of the picture, in its own pixels.
            height: likewise.
            size: height and width of a frame in pixels.
            mm: side of one of the picture's own pixels; None where it is not known, and not asked for.
        """
        if not self.mm_per_pixel or mm is None:
            return fit(width, height, size)
        scale = mm / self.mm_per_pixel
        return max(1, round(width * scale)), max(1, round(height * scale))

    def square(self, pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Pictures (T, h, w) of :meth:`fit` in squares (T, size, size). Where a pixel is a number of mm, what
        is too much is cut off, and the top stays at the top, where the probe is."""
        if not self.mm_per_pixel:
            return pad_square(pictures, size)
        left = max(0, pictures.shape[2] - size) // 2
        shown = pictures[:, :size, left : left + size]
        height, width = shown.shape[1:]
        begin = (size - width) // 2
        return np.pad(shown, ((0, 0), (0, size - height), (begin, size - width - begin)))

    def require_mm(self, path: str, mm: float | None) -> None:
        """Refuses a scan whose pixels have no known size in mm, where that is asked for.

        Raises:
            ScanError: it is asked for, and ``mm`` is None, or no size that a pixel can have.
        """
        if self.mm_per_pixel and mm is None:
            raise ScanError(
                path, "has no size in mm, as volumes of heads and DICOM may have; leave data.mm_per_pixel out"
            )
        if self.mm_per_pixel and mm is not None and not mm <= _LARGEST_PIXEL_MM:
            raise ScanError(path, f"states {mm:g} mm as the height of a pixel, which cannot be; correct it")


DEFAULT = Geometry()


Part = tuple[int, int, int, int]
"""A part of the plane in voxels: first and end along X, first and end along Y."""


def head_frames(voxels: Voxels, zooms: Zooms, size: int, shown: Geometry, part: Part | None = None) -> Voxels:
    """Axial levels of a head, the lowest first, with the front up and the patient's left on the left.

    Levels are those of the whole head, even where a part is shown: else a crop would move them, and one that
    is smaller than the top of a head would lose them.

    Args:
        voxels: (X, Y, Z), to the patient's right, the front and upwards.
        zooms: the voxel's sides in mm.
        size: height and width of a frame in pixels.
        shown: levels and mm per pixel.
        part: what is to be seen, in the middle of the frames; None for the whole plane.

    Returns:
        float32 (levels, size, size); 0 is the grey value of air, and of what lies outside the volume.
    """
    # Not the least value: resampling, as at a conversion, leaves some far below air.
    values = voxels - np.percentile(voxels[::2, ::2, ::2], _DARK).astype(np.float32)
    (x, y, top), air = _place(values, zooms, part)
    values -= air
    if part:
        values, x, y = values[part[0] : part[1], part[2] : part[3]], x - part[0], y - part[2]
    depths = (np.arange(shown.slices)[::-1] + 0.5) * (SPAN_MM / shown.slices)
    across = (np.arange(size) - (size - 1) / 2) * shown.step(size)
    steps = (SPAN_MM / shown.slices, shown.step(size), shown.step(size))
    values = _resample(values, 2, top - depths / zooms[2], steps[0] / zooms[2])
    values = _resample(values, 1, y - across / zooms[1], steps[1] / zooms[1])
    values = _resample(values, 0, x + across / zooms[0], steps[2] / zooms[0])
    return np.ascontiguousarray(values.T)


def _place(values: Voxels, zooms: Zooms, part: Part | None) -> tuple[tuple[float, float, float], np.float32]:
    """The middle in the plane of the head, or of what a part shows of it, and the top of the whole head, as
    positions in voxels (X, Y, Z); and the grey value of air, which is not far from 0."""
    coarse, at = values, []
    for axis in (0, 1):
        length, zoom = values.shape[axis], zooms[axis]
        at.append(np.arange(-0.5, length - 0.5 + _COARSE_MM / zoom, _COARSE_MM / zoom))
        coarse = _resample(coarse, axis, at[axis], _COARSE_MM / zoom)
    dark, bright = np.percentile(coarse, (_DARK, _BRIGHT))
    head = coarse > dark + _EDGE * (bright - dark)
    air = np.median(coarse[~head]) if not head.all() else np.float32(0)
    top = _top(head.sum((0, 1)) * _COARSE_MM**2)
    lowest = max(0, math.ceil(top - SPAN_MM / zooms[2]))
    shadow = head[:, :, lowest : math.floor(top) + 1].sum(2)
    if part:
        shadow[(at[0] < part[0] - 0.5) | (at[0] > part[1] - 0.5)] = 0
        shadow[:, (at[1] < part[2] - 0.5) | (at[1] > part[3] - 0.5)] = 0
    if not shadow.any():
        first_x, end_x, first_y, end_y = part or (0, values.shape[0], 0, values.shape[1])
        return ((first_x + end_x - 1) / 2, (first_y + end_y - 1) / 2, top), air
    x, y = np.average(at[0], weights=shadow.sum(1)), np.average(at[1], weights=shadow.sum(0))
    return (float(x), float(y), top), air


def _top(area: Floats) -> float:
    """The position, in slices, at which the head begins, from its area in mm2 in every slice (Z,): upwards
    from the widest, for what lies above air is no head, but a chin that wraps around."""
    widest = int(area.argmax())
    ends = np.flatnonzero(area[widest:] < _TOP_MM2)
    if area[widest] < _TOP_MM2 or not len(ends):
        return len(area) - 0.5
    at = widest + int(ends[0]) - 1
    return float(at + (area[at] - _TOP_MM2) / (area[at] - area[at + 1]))


def _resample(values: Voxels, axis: int, positions: Floats, step: float) -> Voxels:
    """Values at other positions of one axis: linear, averaged over those that fall together.

    Args:
        values: (X, Y, Z).
        axis: 0, 1 or 2.
        positions: (N,), in voxels.
        step: distance between positions, in voxels.

    Returns:
        float32, N long on that axis; 0 outside.
    """
    width, length = max(1.0, step), values.shape[axis]
    taps = np.arange(-math.ceil(width), math.ceil(width) + 2)
    voxel = np.floor(positions).astype(np.int64)[:, None] + taps
    weight = np.clip(1 - np.abs(voxel - positions[:, None]) / width, 0, None)
    weight /= weight.sum(1, keepdims=True)  # outside too, so that air around the volume changes nothing
    inside = (voxel >= 0) & (voxel < length) & (weight > 0)
    rows = np.broadcast_to(np.arange(len(positions))[:, None], voxel.shape)[inside]
    # A sparse product adds up in one order, whatever the threads.
    matrix = csr_array((weight[inside].astype(np.float32), (rows, voxel[inside])), (len(positions), length))
    moved = np.ascontiguousarray(np.moveaxis(values, axis, 0))
    found = (matrix @ moved.reshape(length, -1)).reshape(len(positions), *moved.shape[1:])
    return np.moveaxis(found, 0, axis)
