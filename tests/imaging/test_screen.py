"""The part of an ultrasound screen that is the picture, and text burnt into it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from learner_ray.imaging.screen import Change, Picture, find_picture

HEIGHT, WIDTH = 300, 400
TOP, LEFT, RADIUS = 40, 200, 220


def sector() -> NDArray[np.bool_]:
    """Pixels of a convex probe's picture, (H, W)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = ((x - LEFT) ** 2 + (y - TOP) ** 2 <= RADIUS**2) & (abs(x - LEFT) <= (y - TOP) * 0.8)
    return np.asarray(inside)


def clip(text: str = "", at: tuple[int, int] = (0, 0), count: int = 10, seed: int = 0) -> NDArray[np.uint8]:
    """Frames (T, H, W) of speckle in a sector, with still text."""
    rng = np.random.default_rng(seed)
    depth = np.linspace(220, 60, HEIGHT)[:, None] * sector()
    frames = (rng.rayleigh(0.4, (count, HEIGHT, WIDTH)).clip(0, 1) * depth).astype(np.uint8)
    written = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(written).text(at, text, fill=230, font=ImageFont.load_default(12))
    return np.maximum(frames, np.asarray(written))


def picture_of(frames: NDArray[np.uint8], region: tuple[int, int, int, int] | None = None) -> Picture:
    change = Change(HEIGHT, WIDTH)
    for frame in frames:
        change.add(frame)
    return find_picture(change, region)


def test_a_screen_is_cut_to_the_sector_and_the_name_beside_it_is_gone() -> None:
    picture = picture_of(clip("DOE^JANE  2026-01-02", (5, 5)))
    rows, columns = np.flatnonzero(sector().any(1)), np.flatnonzero(sector().any(0))
    found = np.array(picture.box)
    expected = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert np.abs(found - expected).max() <= 4
    left, top, right, bottom = picture.box
    shown = np.zeros((HEIGHT, WIDTH), bool)
    shown[top:bottom, left:right] = ~picture.hidden
    assert (shown & sector()).sum() / (shown | sector()).sum() > 0.98


@settings(max_examples=20, deadline=None)
@given(x=st.integers(170, 200), y=st.integers(120, 220), seed=st.integers(0, 99))
def test_a_name_burnt_into_the_picture_cannot_be_read(x: int, y: int, seed: int) -> None:
    plain, marked = clip(seed=seed), clip("DOE JANE", (x, y), seed=seed)
    picture = picture_of(marked)
    left, top, right, bottom = picture.box
    written = ((np.ptp(marked, axis=0) == 0) & (marked[0] >= 150))[top:bottom, left:right]
    assert written.sum() > 50
    kept = picture.cut(marked[0])
    assert not kept[written].any()
    np.testing.assert_array_equal(kept[~picture.hidden], plain[0, top:bottom, left:right][~picture.hidden])
    assert picture.hidden[written].all()
    inside = sector()[top:bottom, left:right]
    assert (picture.hidden & inside).mean() < 0.05, "a name covers little of the picture"


@pytest.mark.parametrize("at", [(170, 140), (185, 190)])
def test_a_name_that_jpeg_makes_flicker_with_the_tissue_is_hidden(at: tuple[int, int]) -> None:
    """Archives keep clips as JPEG of each frame, so that no letter stands quite still."""
    frames = []
    for frame in clip("DOE JANE", at, seed=3):
        stored = BytesIO()
        Image.fromarray(frame).save(stored, "JPEG", quality=85)
        frames.append(np.asarray(Image.open(stored)))
    marked = np.stack(frames)
    picture = picture_of(marked, (0, 0, WIDTH, HEIGHT))
    written = clip("DOE JANE", at, seed=3).min(0) >= 200
    assert np.ptp(marked, axis=0)[written].max() > 8, "it flickers"
    assert picture.hidden[written].mean() > 0.9
    assert picture.hidden.mean() < 0.05


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(8, 20))
def test_no_tissue_is_taken_for_text(seed: int, count: int) -> None:
    picture = picture_of(clip(count=count, seed=seed), (0, 0, WIDTH, HEIGHT))
    assert not picture.hidden.any()


def test_a_region_that_is_given_is_kept_though_nothing_moves() -> None:
    still = np.repeat(clip(count=1), 10, 0)
    assert picture_of(still, (10, 20, 30, 40)).box == (10, 20, 30, 40)


def test_where_nothing_moves_or_only_a_clock_does_the_whole_screen_stays() -> None:
    still = np.repeat(clip(count=1), 3, 0)
    ticking = still.copy()
    ticking[1, 5:15, 5:30] = 255
    for frames in (still, ticking):
        picture = picture_of(frames)
        assert picture.box == (0, 0, WIDTH, HEIGHT)
        assert not picture.hidden.any()


@pytest.mark.parametrize("count", [2, 7])
def test_in_few_frames_nothing_is_taken_for_text(count: int) -> None:
    assert not picture_of(clip("DOE", (180, 150), count=count), (0, 0, WIDTH, HEIGHT)).hidden.any()
