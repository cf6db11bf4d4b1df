"""DICOM: ultrasound clips and pictures, and radiographs.

Frames are decoded one at a time, twice for a clip: first to find what of the screen is the picture, then to
scale that. Only scaled frames are kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from learner_ray.cohort.dicom_tags import DicomError
from learner_ray.imaging.dicom_header import GREYS, DicomHeader, read_header
from learner_ray.imaging.dicom_pixels import decoded, grey_of, upright
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.geometry import DEFAULT, Geometry
from learner_ray.imaging.raster import grey_range, resize, to_grey
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest
from learner_ray.imaging.screen import Change, find_picture


def read_dicom(
    path: str, size: int, geometry: Geometry = DEFAULT, region: RegionOfInterest = WHOLE
) -> NDArray[np.uint8]:
    """Reads every frame of a file in grey, in order.

    A clip is cut to its largest B-mode region, or to what moves where the file names none; burnt-in text
    within it becomes black. A picture is cut to its region alone, a radiograph not at all: one with more than
    8 bits is clipped to percentiles 0.5 and 99.5, and the window that the file proposes is not used. A crop
    of the user's counts instead of the region or what moves.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: the file holds no scan of a kind that is read, is damaged, holds fewer frames than it
            announces, or does not state its mm per pixel where that is asked for, or its crop or mask does
            not fit.
    """
    header = read_header(path)
    geometry.require_mm(path, header.mm_per_px)
    read = _read_picture if header.frames == 1 else _read_clip
    try:
        return read(path, header, size, geometry, region)
    except DicomError as error:
        raise ScanError(path, str(error)) from error


def _read_clip(
    path: str, header: DicomHeader, size: int, geometry: Geometry, region: RegionOfInterest
) -> NDArray[np.uint8]:
    change, grey = Change(header.height, header.width), grey_of(header)
    for values in decoded(path, header):
        change.add(grey(values))
    picture = find_picture(change, region.box(path, header.width, header.height) or header.region)
    seen = region.picture(path, header.width, header.height, picture.box)
    picture = replace(picture, hidden=picture.hidden | seen.hidden)
    left, top, right, bottom = picture.box
    width, height = geometry.fit((right - left) * header.pixel_aspect, bottom - top, size, header.mm_per_px)
    scaled = np.empty((header.frames, height, width), np.uint8)
    for i, values in enumerate(decoded(path, header)):
        cut = torch.from_numpy(picture.cut(grey(values))).float()
        scaled[i] = to_grey(resize(cut[None], width, height), 0.0, 255.0)[0]
    return geometry.square(scaled, size)


def _read_picture(
    path: str, header: DicomHeader, size: int, geometry: Geometry, region: RegionOfInterest
) -> NDArray[np.uint8]:
    (values,) = decoded(path, header)
    seen = region.picture(path, header.width, header.height, header.region)
    left, top, right, bottom = seen.box
    deep = header.colours in GREYS and header.bits > 8
    grey = upright(values, header) if deep else grey_of(header)(values)
    frame = torch.from_numpy(grey[top:bottom, left:right].astype(np.float32))[None]
    low, high = grey_range(frame[:, ~seen.hidden]) if deep else (0.0, 255.0)
    frame[:, seen.hidden] = low
    width, height = geometry.fit((right - left) * header.pixel_aspect, bottom - top, size, header.mm_per_px)
    return geometry.square(to_grey(resize(frame, width, height), low, high), size)
