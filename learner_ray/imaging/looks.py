"""Scans that are probably not pictures of a patient: black, of one grey, frozen, or a mask.

One rule for every kind of file, applied to the frames as the network would see them. Such a scan is kept and
listed in a warning, not refused: only its owner knows whether it belongs there.
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
"""What may be unusual about a scan, in words."""

_NOISE = 3
"""Grey values by which a codec changes what is the same."""
_FEW = 4
_MOST = 0.6
"""A picture is a mask if its few commonest grey values make up so much of all that is not background
(resizing greys its edges). Of real clips, slices and volumes they were 0.34 at most, of phantoms 0.44."""


def look_of(frames: NDArray[np.uint8]) -> str:
    """The first of ``LOOKS`` that applies to a scan; empty where none does.

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


def describe_looks(looks: Mapping[str, str]) -> dict[str, list[str]]:
    """What is unusual about a cohort's scans: a sentence for each kind, and the ids of its scans.

    Args:
        looks: one of ``LOOKS`` by scan id, of the scans that have one.
    """
    found = {}
    for look, words in LOOKS.items():
        scans = sorted(scan for scan, of in looks.items() if of == look)
        if scans:
            found[f"{len(scans):,} {'scan is' if len(scans) == 1 else 'scans are'} {words}"] = scans
    return found
