"""Single pictures: radiographs as PNG or JPEG."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps

from learner_ray.imaging.headers import open_picture
from learner_ray.imaging.raster import fit, grey_range, pad_square, resize, to_grey
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest


def read_picture(path: str, size: int, region: RegionOfInterest = WHOLE) -> NDArray[np.uint8]:
    """Reads a picture in grey. One with more than 8 bits is clipped to percentiles 0.5 and 99.5 first.

    Returns:
        uint8 (1, size, size).

    Raises:
        ScanError: the file is damaged, or its crop or mask does not fit.
    """
    with open_picture(path) as image:
        upright = ImageOps.exif_transpose(image)
        deep = upright.mode.startswith(("I", "F"))
        pixels = np.asarray(upright if deep else upright.convert("L"), dtype=np.float32)
    seen = region.picture(path, pixels.shape[1], pixels.shape[0])
    left, top, right, bottom = seen.box
    frame = torch.from_numpy(pixels[top:bottom, left:right].copy())[None]
    low, high = grey_range(frame[:, ~seen.hidden]) if deep else (0.0, 255.0)
    frame[:, seen.hidden] = low
    return pad_square(to_grey(resize(frame, *fit(frame.shape[2], frame.shape[1], size)), low, high), size)
