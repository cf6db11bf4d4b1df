"""Pixels add up to what is predicted, and nothing comes from where nothing is looked at."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.training.integrated_gradients import blurred, integrated_gradients, window_sums

SIZE = 32
PLACES = {"top": st.integers(0, 26), "left": st.integers(0, 26), "seed": st.integers(0, 99)}


def lesion(top: int, left: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip (2, 32, 32) of noise with a lesion of 6 x 6 pixels, and where the lesion is."""
    clip = 0.1 * torch.from_numpy(np.random.default_rng(seed).normal(size=(2, SIZE, SIZE)))
    there = torch.zeros(2, SIZE, SIZE, dtype=torch.float64)
    there[:, top : top + 6, left : left + 6] = 1
    return clip + 3 * there, there


@settings(max_examples=25)
@given(**PLACES)
def test_all_pixels_add_up_to_the_difference_from_the_blurred_clip(top: int, left: int, seed: int) -> None:
    """Exactly, of a response that is a square: its gradient is linear, which middles of steps integrate."""
    clip, there = lesion(top, left, seed)

    def brightness(one: torch.Tensor) -> torch.Tensor:
        return (one * there).sum() ** 2

    def slopes(clips: torch.Tensor) -> torch.Tensor:
        return torch.stack([2 * (one * there).sum() * there for one in clips])

    found = integrated_gradients(clip, slopes, steps=3)
    torch.testing.assert_close(found.sum(), brightness(clip) - brightness(blurred(clip, SIZE // 8)))
    torch.testing.assert_close(integrated_gradients(clip, lambda clips: -slopes(clips), steps=3), -found)


@settings(max_examples=25)
@given(**PLACES)
def test_a_map_is_zero_where_nothing_is_looked_at_and_largest_at_the_lesion(
    top: int, left: int, seed: int
) -> None:
    clip, there = lesion(top, left, seed)
    attributed = integrated_gradients(clip, lambda clips: there.expand(clips.shape))
    found = window_sums(attributed)
    assert found.shape == (SIZE, SIZE)
    row, column = divmod(int(found.argmax()), SIZE)
    assert top <= row < top + 6 and left <= column < left + 6
    near = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    near[max(0, top - 2) : top + 8, max(0, left - 2) : left + 8] = True
    assert not found[~near].abs().gt(1e-9).any()
    around = attributed[:, max(0, top - 2) : top + 3, max(0, left - 2) : left + 3]
    torch.testing.assert_close(found[top, left], around.sum())


def test_a_clip_without_detail_explains_nothing() -> None:
    clip = torch.full((3, SIZE, SIZE), 2.0)
    assert integrated_gradients(clip, torch.ones_like).abs().max() < 1e-5
