"""Size, shape and grey range, the same for every reader.

A frame keeps its true aspect ratio: its longer side becomes ``size`` pixels and black is added evenly on both
sides of the shorter one. Stretching to a square instead would make the same organ look different on two
devices of one patient.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

BACKGROUND = 12
"""A pixel at or below this grey value (5 % of the range) is background."""

_ROUNDING = 1e-6
"""Relative rounding error of single precision in an average over pixels."""


def fit(width: float, height: float, size: int) -> tuple[int, int]:
    """Width and height in pixels of a frame whose longer side is ``size``, of the same aspect ratio."""
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def pad_square(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Frames (T, h, w) in the middle of black squares (T, size, size)."""
    height, width = frames.shape[1:]
    top, left = (size - height) // 2, (size - width) // 2
    square = np.zeros((len(frames), size, size), np.uint8)
    square[:, top : top + height, left : left + width] = frames
    return square


def resize(frames: Tensor, width: int, height: int) -> Tensor:
    """Float frames (T, h, w) at another size (T, height, width): bilinear, averaged over the pixels that fall
    together."""
    return F.interpolate(frames[None], size=(height, width), mode="bilinear", antialias=True)[0]


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey of RGB (..., 3) with the weights of ITU-R BT.601 in 256ths; grey stays exactly as it is."""
    red, green, blue = (rgb[..., channel].astype(np.uint16) for channel in range(3))
    grey: NDArray[np.uint8] = ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)
    return grey


def grey_range(frames: Tensor) -> tuple[float, float]:
    """The values that become black and white in frames (T, h, w): percentiles 0.5 and 99.5, or the extremes
    where these agree.

    Both are equal where the values differ by no more than the rounding of resizing.
    """
    values = frames.numpy().ravel()
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = values.min(), values.max()
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        high = low
    return float(low), float(high)


def to_grey(frames: Tensor, low: float, high: float) -> NDArray[np.uint8]:
    """Float frames (T, h, w) as uint8, ``low`` as 0 and ``high`` as 255, clipped outside; black where both
    are equal."""
    if high <= low:
        return np.zeros(frames.shape, np.uint8)
    scaled = (frames - low) * (255.0 / (high - low))
    grey: NDArray[np.uint8] = scaled.clamp(0, 255).round().to(torch.uint8).numpy()
    return grey
