"""Single pictures: radiographs as PNG or JPEG."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.raster import fit, grey_range, pad_square, resize, to_grey

SUFFIXES = (".png", ".jpg", ".jpeg")


def read_picture(path: str, size: int) -> NDArray[np.uint8]:
    """A picture in grey; deeper than 8 bits it is clipped to percentiles 0.5 and 99.5 first.

    Returns:
        uint8 (1, size, size).

    Raises:
        ScanError: the file is damaged, or deeper than 8 bits and of one value only.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            deep = upright.mode.startswith(("I", "F"))
            pixels = np.asarray(upright if deep else upright.convert("L"), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ScanError(path, f"cannot be read as a picture ({error})") from error
    frame = torch.from_numpy(pixels.copy())[None]
    low, high = grey_range(frame) if deep else (0.0, 255.0)
    if high <= low:
        raise ScanError(path, "has the same value everywhere")
    return pad_square(to_grey(resize(frame, *fit(frame.shape[2], frame.shape[1], size)), low, high), size)
