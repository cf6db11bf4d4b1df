"""Integrated gradients: which pixels of a clip a number that is predicted of it comes from.

The path leads in a straight line from the clip blurred throughout, which shows little but where it is bright,
to the clip. What each pixel adds on the way is its change times the mean of the number's gradient by it, so
that all pixels add up to the number of the clip less that of the blurred one: Sundararajan, Taly and Yan
2017 (ICML, arXiv 1703.01365). Blur as the start: Fong and Vedaldi 2017 (doi 10.1109/ICCV.2017.371).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Slopes = Callable[[Tensor], Tensor]
"""The gradient by its pixels of what is predicted of each clip, (N, T, H, W) -> (N, T, H, W)."""

STEPS = 16
"""Points of the path at which the gradient is asked for, in the middles of equal parts."""

WINDOWS = 8
"""The side of a picture in widths of the blur, and of the windows of a map."""


def integrated_gradients(clip: Tensor, slopes: Slopes, steps: int = STEPS) -> Tensor:
    """What each pixel adds to what is predicted of a clip.

    Args:
        clip: float (T, H, W), as the network sees it.
        slopes: is asked at one clip at a time, since a backward pass keeps all that a network computes.
        steps: points of the path.

    Returns:
        (T, H, W), of the number type of ``clip``. Positive where what is there raises the number.
    """
    start = blurred(clip, window_side(clip))
    middles = [(step + 0.5) / steps for step in range(steps)]
    total = sum(slopes((start + part * (clip - start))[None])[0].to(clip) for part in middles)
    return (clip - start) * total / steps


def window_sums(attributed: Tensor) -> Tensor:
    """What the pixels (T, H, W) of a window add together, in all frames: (H, W), at the middle of the window.

    A window is an eighth of the picture's side wide: single pixels are too restless to look at.
    """
    window = window_side(attributed) // 2 * 2 + 1
    summed = F.avg_pool2d(attributed.sum(0)[None], window, stride=1, padding=window // 2)
    return summed[0] * window**2


def blurred(clip: Tensor, sd: float) -> Tensor:
    """A clip (T, H, W) blurred in the plane by a Gaussian of so many pixels; beyond the border it goes on as
    it is there."""
    reach = int(2 * sd)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=clip.device) / sd) ** 2).to(clip)
    kernel = kernel / kernel.sum()
    padded = F.pad(clip[:, None], (reach, reach, reach, reach), mode="replicate")
    along = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return along[:, 0]


def window_side(picture: Tensor | NDArray[Any]) -> int:
    """Pixels of the blur's SD and of a window's side, for pictures (..., H, W)."""
    return max(2, picture.shape[-1] // WINDOWS)
