"""The shift against its definition, frame by frame."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from learner_ray.core.config import SHIFT_FRACTIONS
from learner_ray.encoders.temporal_shift import shifted_channels, temporal_shift


def plain_shift(x: Tensor, frames: int, fraction: float) -> Tensor:
    """Channel c of frame t is that of t + 1, of t - 1 or of t, zero beyond the clip."""
    fold = int(x.shape[1] * fraction / 2)
    rows = []
    for n in range(len(x)):
        t, row = n % frames, x[n]
        later = x[n + 1] if t + 1 < frames else torch.zeros_like(row)
        earlier = x[n - 1] if t > 0 else torch.zeros_like(row)
        rows.append(torch.cat([later[:fold], earlier[fold : 2 * fold], row[2 * fold :]]))
    return torch.stack(rows)


@given(
    clips=st.integers(1, 3),
    frames=st.integers(1, 5),
    channels=st.integers(1, 33),
    fraction=st.sampled_from([*SHIFT_FRACTIONS, 0.3, 1.0]),
    channels_last=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_equals_the_plain_form_bit_for_bit(
    clips: int, frames: int, channels: int, fraction: float, channels_last: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(2, clips * frames, channels, 3, 2, generator=generator)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    plain, fast = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, result = plain_shift(plain, frames, fraction), temporal_shift(fast, frames, fraction)
    (expected * weight).sum().backward()
    (result * weight).sum().backward()
    assert torch.equal(result, expected)
    assert plain.grad is not None and fast.grad is not None
    assert torch.equal(fast.grad, plain.grad)


def test_keeps_channels_last() -> None:
    x = torch.randn(6, 16, 5, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    result = temporal_shift(x, 3, 0.25)
    assert result.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(result, x, torch.ones_like(result))
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_a_quarter_is_an_eighth_each_way() -> None:
    assert shifted_channels(64, 0.25) == 64 // 8


def test_first_and_second_derivatives() -> None:
    x = torch.randn(4, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: temporal_shift(v, 2, 0.5), x)
    assert torch.autograd.gradgradcheck(lambda v: temporal_shift(v, 2, 0.5), x)


def test_frames_that_are_not_whole_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="whole clips"):
        temporal_shift(torch.zeros(7, 8, 2, 2), 4, 0.25)
