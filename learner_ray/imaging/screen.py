"""What of an ultrasound device's screen is the picture: the part that changes while a clip runs.

The rest of the screen shows scales, settings, and often the patient's name and the date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom lie outside."""

_MOVES = 6
"""Grey levels by which a pixel of tissue changes at least. With more, the depths of a quiet clip count as
still, and clips of one device would be cut to different sizes."""
_STILL = 4
"""Grey levels by which burnt-in text changes at most, after compression."""
_BRIGHT = 80
_CONTRAST = 32
"""Grey levels by which text is brighter than what lies around it."""
_DIM = 64
_CONTRAST_OF_DIM = 40
"""Grey level and contrast of text that flickers. Less of either takes much tissue for text."""
_FLICKER = 0.5
"""How much such text changes at most, as a part of the mean change around it."""
_AROUND = 15
"""Side in pixels of the square over which that is taken."""
_MOST_FLICKER = 40
_LEAST_PIXELS = 4
"""Pixels of a letter that flickers, at least; speckle that happens to stay bright is smaller."""
_LEAST_FRAMES = 8
"""In fewer frames tissue may stand still, too."""
_LEAST_AREA = 0.05
"""A smaller part of the screen that changes is a clock or a trace, not the picture."""
_GAP = 0.02
"""Still pixels between moving ones belong to them, up to this part of the shorter side."""
_WORD_AREA = 0.001
"""Part of the picture that text covers at least. In real clips without text, marks and spots of tissue that
look like letters cover 0.0004 at most (docs/log.md)."""
_LETTER = 0.08
"""Height of a letter at most, as a part of the picture's height."""


class Change:
    """The darkest and the brightest value of every pixel over the frames of a clip."""

    def __init__(self, height: int, width: int) -> None:
        self.darkest = np.full((height, width), 255, np.uint8)
        self.brightest = np.zeros((height, width), np.uint8)
        self.frames = 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Takes in the next frame (H, W)."""
        np.minimum(self.darkest, frame, out=self.darkest)
        np.maximum(self.brightest, frame, out=self.brightest)
        self.frames += 1

    @property
    def range(self) -> NDArray[np.uint8]:
        """Grey levels by which each pixel changes, (H, W)."""
        change: NDArray[np.uint8] = self.brightest - self.darkest
        return change


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The part of a screen to keep."""

    box: Box
    hidden: NDArray[np.bool_]
    """Pixels within the box that become black, (bottom - top, right - left)."""

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a frame (H, W) within the box, black where hidden: (bottom - top, right - left)."""
        left, top, right, bottom = self.box
        kept: NDArray[np.uint8] = np.where(self.hidden, 0, frame[top:bottom, left:right]).astype(np.uint8)
        return kept


def find_picture(change: Change, region: Box | None) -> Picture:
    """The part of a screen that is the picture, without the text burnt into it.

    Args:
        change: how the clip's pixels change.
        region: where the device says the picture is. None: the convex hull of the largest part of the
            screen that changes, or the whole screen where nothing does.
    """
    height, width = change.darkest.shape
    outside = None if region else _outside_of_motion(change.range)
    box = region or (0, 0, width, height)
    if outside is not None:
        rows, columns = np.flatnonzero(~outside.all(1)), np.flatnonzero(~outside.all(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    left, top, right, bottom = box
    hidden = np.zeros((bottom - top, right - left), bool)
    if outside is not None:
        hidden |= outside[top:bottom, left:right]
    if change.frames >= _LEAST_FRAMES:
        hidden |= _text(change.darkest[top:bottom, left:right], change.range[top:bottom, left:right])
    return Picture(box=box, hidden=hidden)


def shows_text(change: Change) -> bool:
    """Whether bright text is burnt into a clip, as far as that shows: text that stands still, in 8 frames or
    more."""
    if change.frames < _LEAST_FRAMES:
        return False
    return bool(_words(_still_letters(change.darkest, change.range)).mean() >= _WORD_AREA)


def _outside_of_motion(change: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """The pixels outside the hull of what moves, (H, W); None where too little does."""
    height, width = change.shape
    gap = max(1, round(_GAP * min(height, width)))
    moving = ndimage.binary_opening(change >= _MOVES)  # single pixels are noise of the compression
    parts, count = ndimage.label(ndimage.maximum_filter(moving, size=2 * gap + 1))
    if not count:
        return None
    sizes = np.bincount(parts[moving], minlength=count + 1)
    largest = (change >= _MOVES) & (parts == int(sizes[1:].argmax()) + 1)
    rows, columns = np.nonzero(largest)
    try:
        points = np.column_stack((columns, rows))
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # all in one line, or too few
        return None
    mask = Image.new("1", (width, height))
    ImageDraw.Draw(mask).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    inside = np.asarray(mask, bool)
    return None if inside.mean() < _LEAST_AREA else ~inside


def _text(darkest: NDArray[np.uint8], change: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Boxes around letters that stand still, and around those that change less than half as much as what
    lies around them, (H, W): JPEG makes text flicker with the tissue beside it."""
    around = ndimage.uniform_filter(change.astype(np.float32), _AROUND)
    quiet = change <= np.clip(_FLICKER * around, _STILL, _MOST_FLICKER)
    letters = _still_letters(darkest, change)
    letters |= _letters(quiet & (darkest >= _DIM), darkest, _CONTRAST_OF_DIM, _LEAST_PIXELS)
    return _words(letters)


def _still_letters(darkest: NDArray[np.uint8], change: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return _letters((change <= _STILL) & (darkest >= _BRIGHT), darkest, _CONTRAST)


def _letters(
    shapes: NDArray[np.bool_], darkest: NDArray[np.uint8], contrast: float, least: int = 1
) -> NDArray[np.bool_]:
    """Boxes around small shapes of ``least`` pixels or more with a sharp edge, (H, W): those that are much
    brighter than what lies around them. Tissue that saturates fades out instead."""
    parts, _ = ndimage.label(shapes, np.ones((3, 3)))
    tallest = _tallest(darkest)
    letters = np.zeros_like(shapes)
    for label, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        if rows.stop - rows.start > tallest or columns.stop - columns.start > 2 * tallest:
            continue
        window = (
            slice(max(0, rows.start - 3), rows.stop + 3),
            slice(max(0, columns.start - 3), columns.stop + 3),
        )
        own = parts[window] == label
        if own.sum() < least:
            continue
        around = ndimage.binary_dilation(own, np.ones((3, 3)), 2) & ~ndimage.binary_dilation(
            own, np.ones((3, 3))
        )
        if around.any() and darkest[window][own].mean() - np.median(darkest[window][around]) >= contrast:
            letters[rows, columns] = True
    return letters


def _words(letters: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Boxes around words, (H, W); letters of a word lie in one."""
    tallest = _tallest(letters)
    words, _ = ndimage.label(ndimage.binary_dilation(letters, np.ones((3, 2 * (tallest // 2) + 1))))
    hidden = np.zeros_like(letters)
    for rows, columns in ndimage.find_objects(np.where(letters, words, 0)):
        hidden[max(0, rows.start - 1) : rows.stop + 1, max(0, columns.start - 1) : columns.stop + 1] = True
    return hidden


def _tallest(picture: NDArray[Any]) -> int:
    """Height in pixels of a letter at most, in a picture (H, W)."""
    return max(4, round(_LETTER * len(picture)))
