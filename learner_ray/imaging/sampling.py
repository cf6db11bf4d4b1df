"""The frames of a scan that the network is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def frame_indices(length: int, frames: int, rng: np.random.Generator | None) -> NDArray[np.int64]:
    """Picks one frame from each of ``frames`` equal segments (TSN, Wang 2016, arXiv 1608.00859; as TSM
    samples).

    Segments differ by at most one frame in length and cover the whole scan, so that ``length == frames`` is
    the identity. A shorter scan repeats its frames, in order.

    Args:
        length: frames of the scan.
        frames: frames to take.
        rng: draws the offset within each segment; None takes the segments' centres.

    Returns:
        int64 (frames,), in ascending order.

    Raises:
        ValueError: ``length`` or ``frames`` is below 1.
    """
    if length < 1 or frames < 1:
        raise ValueError(f"cannot take {frames} of {length} frames")
    edges = np.arange(frames + 1, dtype=np.int64) * length // frames
    first, last = edges[:-1], np.maximum(edges[1:] - 1, edges[:-1])
    if rng is None:
        return np.asarray((first + last) // 2)
    return rng.integers(first, last, endpoint=True, dtype=np.int64)
