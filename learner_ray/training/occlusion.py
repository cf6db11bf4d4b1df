"""Occlusion: where a prediction comes from in a clip, by hiding one part after the other.

A window slides over the picture, through all frames at once. Within it the clip is replaced by a blurred copy
of itself, which removes what is there and keeps its brightness, so that no new edge is made. What the
prediction loses counts for every pixel of the window. Windows: Zeiler and Fergus 2014 (doi
10.1007/978-3-319-10590-1_53); blur: Fong and Vedaldi 2017 (doi 10.1109/ICCV.2017.371).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Response = Callable[[Tensor], NDArray[np.float64]]
"""What is predicted of clips (N, T, H, W), as one number each: (N,)."""
WINDOWS = 8
"""Windows side by side that would fill a picture; they overlap by half."""


def occlusion_map(clip: Tensor, response: Response, batch: int = 32) -> NDArray[np.float64]:
    """How much each pixel speaks for a high response.

    Args:
        clip: float (T, H, W), as the network sees it; H and W are the same.
        response: is asked about the clip itself and about copies with a window hidden.
        batch: copies that are made at once.

    Returns:
        (H, W): the response to the clip less that to a copy, as the mean over the windows that hold the
        pixel. Positive where what is there raises the response.
    """
    size = clip.shape[-1]
    window = max(2, size // WINDOWS)
    starts = sorted({*range(0, size - window + 1, max(1, window // 2)), size - window})
    corners = list(itertools.product(starts, starts))
    whole = float(response(clip[None])[0])
    blurred = _blurred(clip, sd=window)
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for some in _parts(corners, batch):
        lost = whole - response(_hidden(clip, blurred, some, window))
        for (top, left), value in zip(some, lost, strict=True):
            total[top : top + window, left : left + window] += value
            count[top : top + window, left : left + window] += 1
    return np.asarray(total / count)


def _parts(corners: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(corners), size):
        yield corners[start : start + size]


def _hidden(clip: Tensor, blurred: Tensor, corners: list[tuple[int, int]], window: int) -> Tensor:
    """Copies of a clip (T, H, W), each blurred in the window at one corner: (N, T, H, W)."""
    copies = clip.expand(len(corners), *clip.shape).clone()
    for copy, (top, left) in zip(copies, corners, strict=True):
        inside = (..., slice(top, top + window), slice(left, left + window))
        copy[inside] = blurred[inside]
    return copies


def _blurred(clip: Tensor, sd: float) -> Tensor:
    """A clip (T, H, W) blurred in the plane by a Gaussian of so many pixels; beyond the border it goes on as
    it is there."""
    reach = int(2 * sd)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=clip.device) / sd) ** 2).to(clip)
    kernel = kernel / kernel.sum()
    padded = F.pad(clip[:, None], (reach, reach, reach, reach), mode="replicate")
    along = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return along[:, 0]
