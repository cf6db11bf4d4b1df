"""What a scan looks like when it is none: black, of one grey, frozen, or a mask in place of a picture.

One rule for every kind of file, on the frames as the network would see them. Such a scan is kept and told,
not refused: only its owner knows whether it belongs there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from learner_ray.imaging.raster import BACKGROUND

LOOKS = {
    "black": "black",
    "constant": "of one grey value",
    "frozen": "the same in every frame",
    "mask": "of a few grey values only, as a mask is",
}
"""What may be odd about a scan, in words."""

_NOISE = 3
"""Grey values by which a codec changes what is the same."""
_FEW = 4
_MOST = 0.6
"""A picture is a mask if its few commonest grey values make up so much of all that is not background
(resizing greys its edges). Of real clips, slices and volumes they were 0.34 at most, of phantoms 0.44."""


def look_of(frames: NDArray[np.uint8]) -> str:
    """The first of ``LOOKS`` that holds, or nothing.

    Args:
        frames: uint8 (T, size, size), with black where the picture was not square.
    """
    counts = np.bincount(frames.ravel(), minlength=256)
    foreground = counts[BACKGROUND + 1 :]
    if not foreground.any():
        return "black"
    picture = _without_margins(frames)
    if int(picture.max()) - int(picture.min()) <= _NOISE:
        return "constant"
    if len(frames) > 1 and int(np.ptp(frames, axis=0).max()) <= _NOISE:
        return "frozen"
    commonest = np.sort(foreground)[-_FEW:].sum()
    return "mask" if commonest >= _MOST * foreground.sum() else ""


def _without_margins(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames without the rows and columns outside that are black throughout."""
    bright = frames.max(0) > 0
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    return frames[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def told(looks: Mapping[str, str]) -> dict[str, list[str]]:
    """What is odd about a cohort's scans: a sentence per kind, and the ids of its scans."""
    found = {}
    for look, words in LOOKS.items():
        scans = sorted(scan for scan, of in looks.items() if of == look)
        if scans:
            found[f"{len(scans):,} {'scan is' if len(scans) == 1 else 'scans are'} {words}"] = scans
    return found
