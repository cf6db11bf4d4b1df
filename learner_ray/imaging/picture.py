"""Single pictures, such as radiographs as PNG or JPEG, and stacks of them: pages of TIFF, frames of WebP."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import STACKS, open_picture
from learner_ray.imaging.raster import fit, grey_range, pad_square, resize, to_grey
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
"""Tag of TIFF, and its value where a low number is bright. Pillow turns 8 bits round, and no others."""


def read_picture(path: str, size: int, region: RegionOfInterest = WHOLE) -> NDArray[np.uint8]:
    """Reads a picture in grey, or every page of a stack, in order. With more than 8 bits it is clipped to
    percentiles 0.5 and 99.5 first, a stack to those of all its pages.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: the file is damaged, its pages differ in size or depth, or its crop or mask
            does not fit.
    """
    with open_picture(path) as image:
        count = getattr(image, "n_frames", 1) if image.format in STACKS else 1
        first_size = image.size
        pages = []
        for number in range(count):
            if number:
                image.seek(number)
            if image.size != first_size:  # before its pixels, of which there may be any number, are read
                raise _differing(path, number + 1)
            pages.append(_page(image))
    first = pages[0]
    for number, page in enumerate(pages[1:], start=2):
        if (page.shape, page.dtype) != (first.shape, first.dtype):
            raise _differing(path, number)
    deep = first.dtype != np.uint8
    seen = region.picture(path, first.shape[1], first.shape[0])
    left, top, right, bottom = seen.box
    cut = torch.from_numpy(np.stack(pages).astype(np.float32)[:, top:bottom, left:right].copy())
    low, high = grey_range(cut[:, ~seen.hidden]) if deep else (0.0, 255.0)
    cut[:, seen.hidden] = low
    width, height = fit(right - left, bottom - top, size)
    return np.concatenate([_frame(page[None], (width, height), low, high, size) for page in cut])


def _differing(path: str, number: int) -> ScanError:
    said = f"has pages that differ in size or depth (1 and {number}); keep those of one kind"
    return ScanError(path, said)


def _page(image: Image.Image) -> NDArray[Any]:
    """The page that an image is at (H, W): uint8, or float32 where it has more than 8 bits."""
    upright = ImageOps.exif_transpose(image)
    if not upright.mode.startswith(("I", "F")):
        return np.array(upright.convert("L"))
    pixels = np.array(upright, dtype=np.float32)
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return -pixels if inverted else pixels


def _frame(frame: Tensor, fitted: tuple[int, int], low: float, high: float, size: int) -> NDArray[np.uint8]:
    return pad_square(to_grey(resize(frame, *fitted), low, high), size)
