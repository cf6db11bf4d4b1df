"""The frames of a scan that the network is shown."""

from __future__ import annotations

import torch
from torch import Tensor

from learner_ray.imaging.counter_random import below, words

_FRAMES = 1
"""Purpose of the random words that frames are chosen by."""


def frame_indices(lengths: Tensor, frames: int, keys: Tensor | None) -> Tensor:
    """Picks one frame from each of ``frames`` equal segments (TSN, Wang 2016, arXiv 1608.00859; as TSM
    samples).

    Segments differ by at most one frame in length and cover the whole scan, so that a scan of ``frames``
    frames is shown whole. A shorter scan repeats its frames, in order.

    Args:
        lengths: int64 (B,), frames of each scan, 1 or more.
        frames: T, frames to take, 1 or more.
        keys: int64 (B,), draw the offset within each segment; None takes the segments' centres.

    Returns:
        int64 (B, T), in ascending order.
    """
    edges = torch.arange(frames + 1, device=lengths.device) * lengths[:, None] // frames
    first, last = edges[:, :-1], torch.maximum(edges[:, 1:] - 1, edges[:, :-1])
    if keys is None:
        return (first + last) // 2
    return first + below(words(keys, _FRAMES, frames), last - first + 1)
