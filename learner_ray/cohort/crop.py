"""How a crop is written, in a manifest and in ``Scan``."""

from __future__ import annotations

import re

_CROP = re.compile(r"(\d{1,9})[,; ]+(\d{1,9})[,; ]+(\d{1,9})[,; ]+(\d{1,9})", re.ASCII)


def normal_crop(text: str) -> str:
    """A crop as ``Scan`` has it, ``x0,y0,x1,y1``; empty where the text is none, or one without area."""
    found = _CROP.fullmatch(text)
    left, top, right, bottom = map(int, found.groups()) if found else (0, 0, 0, 0)
    return f"{left},{top},{right},{bottom}" if left < right and top < bottom else ""
