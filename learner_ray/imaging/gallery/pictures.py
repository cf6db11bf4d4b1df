"""The picture of a scan, and how many bytes of a page it may take."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from learner_ray.imaging.sampling import frame_indices

_LOSSLESS_PIXELS = 2000 * 112**2
"""Pixels of all pictures up to which a page holds them without loss: about 15 MB."""
_QUALITY = 75
"""Quality of a lossy picture, by WebP's scale to 100."""

_EFFORT = 20
"""Effort for a picture without loss, by the same scale: 100 takes twice as long and saves nothing."""


def shown_frame(frames: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """The middle one, (size, size), of those frames of a scan that the network is shown.

    Args:
        frames: all of the scan, (F, size, size).
        number: T, frames that the network is shown.
    """
    middle = frame_indices(torch.tensor([len(frames)]), number, None)[0, number // 2]
    frame: NDArray[np.uint8] = frames[int(middle)]
    return frame


def lossless(scans: int, size: int) -> bool:
    """Whether a page holds the pictures of so many scans, of this side in pixels, without loss."""
    return scans * size**2 <= _LOSSLESS_PIXELS


def data_url(frame: NDArray[np.uint8], *, exact: bool) -> str:
    """A picture (H, W) as WebP in the text of a page.

    Args:
        frame: the picture.
        exact: without loss.
    """
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "WEBP", lossless=exact, quality=_EFFORT if exact else _QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
