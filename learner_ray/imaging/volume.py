"""Volumes and slices, of any format that ``volume_files`` opens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.fields_of_view import Zooms, fits_a_head, voxel_sides
from learner_ray.imaging.geometry import DEFAULT, Geometry, Part, head_frames
from learner_ray.imaging.raster import fit, grey_range, pad_square, resize, to_grey
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest
from learner_ray.imaging.volume_files import DAMAGE, format_of, long_axes, open_volume

_BACKGROUND_FRACTION = 0.05
"""Voxels within this fraction of the grey range above black are background."""
_LEAST_GROUND = 0.1
"""The part of all voxels that background of one value makes up at least."""
_AMID = 0.1
"""How far above dark tissue a background lies amid it, as a part of the tissue's range. Interpolation leaves
values below background of a hundredth of that."""
_SLICE_FRACTION = 0.01
"""The extent begins and ends with a slice of which this fraction is not background."""


def read_volume(
    path: str | Sequence[str], size: int, geometry: Geometry = DEFAULT, region: RegionOfInterest = WHOLE
) -> NDArray[np.uint8]:
    """Axial slices of a volume.

    A volume is turned to the closest canonical orientation (RAS+) and shown with anterior up and the
    patient's left on the left. Where its voxel sizes are those of a head, its levels lie in mm from the top
    of the head (``geometry.head_frames``): air is black, and percentile 99.5 of what is shown is white. Else,
    or with ``levels`` of ``extent``, slices are evenly spaced over the extent of what is not background, and
    clipped to percentiles 0.5 and 99.5 of the whole volume. One value everywhere becomes black.

    A mask makes it what a file without the tissue outside would be. A crop cuts every slice as it is stored
    and turned, before it is scaled; levels in mm stay those of the whole head.

    A two-dimensional image gives one frame, as stored: the header of a lone slice does not say which plane
    it is.

    Args:
        path: its file, or the files that are one volume (``volume_files.open_volume``).
        size: height and width of a frame in pixels.
        geometry: how frames are taken from it.
        region: what is to be seen of it.

    Returns:
        uint8 (slices, size, size), or (1, size, size) of a two-dimensional image.

    Raises:
        ScanError: the file is damaged, is not one grey image of two or three dimensions, holds no head in mm
            where ``mm_per_pixel`` is asked for, or its crop or mask does not fit.
    """
    voxels, spacing, sides, part = _load(path, region)
    if geometry.levels == "mm" and math.isfinite(sides[0]):
        frames = torch.from_numpy(head_frames(voxels, sides, size, geometry, part))
        return to_grey(frames, 0.0, grey_range(frames)[1])
    geometry.require_mm(path if isinstance(path, str) else path[0], None)
    if part:
        voxels = voxels[part[0] : part[1], part[2] : part[3]]
    return _evenly_spaced(voxels, spacing, size, geometry.slices)


def _evenly_spaced(
    voxels: NDArray[np.float32], spacing: tuple[float, float], size: int, slices: int
) -> NDArray[np.uint8]:
    # x grows to the right and y upwards, so rows are y reversed.
    # A copy: of one slice a contiguous array may keep a step below zero, which PyTorch refuses.
    frames = torch.from_numpy(voxels.T[:, ::-1, :].copy())
    width, height = fit(frames.shape[2] * spacing[0], frames.shape[1] * spacing[1], size)
    frames = resize(frames, width, height)
    low, high = grey_range(frames)
    if len(frames) > 1:
        frames = _sample_slices(frames, low + _BACKGROUND_FRACTION * (high - low), slices)
    return pad_square(to_grey(frames, low, high), size)


def _load(
    path: str | Sequence[str], region: RegionOfInterest
) -> tuple[NDArray[np.float32], tuple[float, float], Zooms, Part | None]:
    """Voxels (X, Y, Z), Z = 1 of a slice; the voxel size along X and Y, in any unit; all three in mm, NaN
    where they are not those of a head; and the part that a crop leaves of the plane, None without one."""
    files = (path,) if isinstance(path, str) else tuple(path)
    image, path = open_volume(files), files[0]
    try:
        axes = long_axes(image.shape)
        inside = _masked(image, region) if region.mask else None
        if len(axes) == 3:
            image = nibabel.as_closest_canonical(image)
            axes = long_axes(image.shape)
        voxels = np.asarray(image.dataobj, dtype=np.float32).squeeze()
    except DAMAGE as error:
        raise ScanError(path, f"cannot be read as {format_of(path)} ({error})") from error
    if not voxels.size:
        raise ScanError(path, "holds no voxels")
    zooms = [float(image.header.get_zooms()[axis]) for axis in axes[:2]]
    spacing = (zooms[0], zooms[1]) if np.isfinite(zooms).all() and min(zooms) > 0 else (1.0, 1.0)
    sides = (math.nan, math.nan, math.nan)
    if axes == [0, 1, 2]:
        sides = voxel_sides(image.affine, image.header.get_xyzt_units()[0])
    voxels = _with_dark_background(_finite(voxels))
    if inside is not None:
        voxels = np.where(inside, voxels, voxels.min())
    voxels = voxels.reshape(*voxels.shape, *[1] * (3 - voxels.ndim))
    if not fits_a_head(voxels.shape, sides):  # of the whole, whatever is cropped
        sides = (math.nan, math.nan, math.nan)
    part = None
    if box := region.box(path, *voxels.shape[:2]):
        left, top, right, bottom = box
        height = voxels.shape[1]  # y grows upwards
        part = (left, right, height - bottom, height - top)
    return voxels, spacing, sides, part


def _finite(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Voxels with a dark value where there was no finite one: 0, or the least where that lies below, since 0
    is grey among negative values."""
    known = np.isfinite(voxels)
    finite = np.array(voxels)  # a copy, since PyTorch takes no reversed axis
    finite[~known] = voxels[known].min(initial=np.float32(0))
    return finite


def _with_dark_background(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Voxels whose background is as dark as the darkest tissue, where it is one value in the midst of the
    tissue's: scaling to a mean of 0 within a mask of the brain leaves 0 outside, which would be grey, and
    taken for head.

    Background is the value of most corners, if it is that of a tenth of all voxels, too. Volumes without
    negative values stay as they are, and so do those with a few, as interpolation leaves them beside an edge.
    """
    if not voxels.size or voxels.min() >= 0:
        return voxels
    values, counts = np.unique(voxels[np.ix_(*([0, -1],) * voxels.ndim)], return_counts=True)
    ground = values[counts.argmax()]
    tissue = voxels[voxels != ground]
    if not tissue.size or tissue.size > (1 - _LEAST_GROUND) * voxels.size:
        return voxels
    darkest, dark, bright = np.percentile(tissue, (0.5, 2.0, 98.0))
    if ground - dark < _AMID * (bright - dark):
        return voxels
    return np.where(voxels == ground, np.float32(darkest), np.maximum(voxels, np.float32(darkest)))


def _masked(image: nibabel.Nifti1Image, region: RegionOfInterest) -> NDArray[np.bool_]:
    """Where a volume's mask is above 0, (X, Y, Z), in the orientation that the volume is shown in."""
    mask = open_volume(region.volume_mask)
    region.check_volume_mask(image, mask)
    if len(long_axes(mask.shape)) == 3:
        mask = nibabel.as_closest_canonical(mask)
    inside: NDArray[np.bool_] = np.asarray(mask.dataobj).squeeze() > 0
    region.require_some(inside)
    return inside


def _sample_slices(frames: Tensor, background: float, slices: int) -> Tensor:
    """Frames (Z, h, w) at ``slices`` centres of equal parts of the extent, linear between slices."""
    area = (frames > background).float().mean((1, 2))
    present = torch.nonzero(area >= _SLICE_FRACTION).ravel()
    if len(present):
        frames = frames[int(present[0]) : int(present[-1]) + 1]
    columns = frames.reshape(1, len(frames), -1).transpose(1, 2)
    sampled = F.interpolate(columns, size=slices, mode="linear", align_corners=False)
    return sampled[0].T.reshape(slices, *frames.shape[1:])
