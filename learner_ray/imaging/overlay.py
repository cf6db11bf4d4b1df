"""A signed map over a grey picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POSITIVE, NEGATIVE = (0, 158, 115), (213, 94, 0)
"""RGB of values above and below 0: Okabe and Ito's green and vermilion, which any colour vision separates."""
_STRONGEST = 0.75
"""How opaque the strongest colour is."""


def overlay(frame: NDArray[np.uint8], values: NDArray[np.float64], largest: float) -> NDArray[np.uint8]:
    """A grey picture with colours where a map is far from 0.

    Args:
        frame: (H, W).
        values: (H, W), the map.
        largest: the size of a value that gets the strongest colour.

    Returns:
        RGB (H, W, 3): green where values are positive, orange where negative.
    """
    strength = np.clip(np.abs(values) / largest, 0, 1)[..., None] * _STRONGEST if largest > 0 else 0.0
    colour = np.where(values[..., None] > 0, POSITIVE, NEGATIVE)
    mixed: NDArray[np.uint8] = (
        ((1 - strength) * frame[..., None] + strength * colour).round().astype(np.uint8)
    )
    return mixed
