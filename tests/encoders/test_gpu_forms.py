"""What a GPU computes otherwise is the same formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from learner_ray.encoders.resnet import convolved_by_patches
from learner_ray.encoders.temporal_shift import shift_kernel, temporal_shift


@pytest.mark.parametrize(("height", "width"), [(112, 112), (113, 97), (32, 33)])
def test_patches_give_the_first_convolution_and_its_gradient(height: int, width: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 64, 7, 2, 3, bias=False).double()
    frames = torch.randn(2, 1, height, width, dtype=torch.float64)
    found, expected = convolved_by_patches(convolution, frames), convolution(frames)
    assert found.shape == expected.shape and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    direction = torch.randn_like(expected)
    gradients = [torch.autograd.grad(out, convolution.weight, direction)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-9)


def test_patches_are_computed_in_the_format_of_autocast() -> None:
    convolution, frames = nn.Conv2d(1, 64, 7, 2, 3, bias=False), torch.randn(2, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert convolved_by_patches(convolution, frames).dtype == torch.bfloat16


def test_no_frames_give_no_patches() -> None:
    convolution = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    assert convolved_by_patches(convolution, torch.zeros(0, 1, 32, 32)).shape == (0, 64, 16, 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("numbers", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("frames", [8, 1])
@pytest.mark.parametrize("fraction", [0.25, 0.3, 1.0])
@pytest.mark.parametrize(("channels", "size"), [(64, 28), (512, 4), (96, 7)])
def test_one_kernel_shifts_as_slices_do(
    channels: int, size: int, fraction: float, frames: int, numbers: Any
) -> None:
    pytest.importorskip("triton")
    x = torch.randn(16, channels, size, size, device="cuda", dtype=numbers)
    last = x.to(memory_format=torch.channels_last)
    assert shift_kernel(last) is not None and shift_kernel(x) is None
    a, b = last.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = temporal_shift(a, frames, fraction), temporal_shift(b, frames, fraction)
    assert torch.equal(found, expected) and found.is_contiguous(memory_format=torch.channels_last)
    direction = torch.randn_like(expected)
    found.backward(direction.to(memory_format=torch.channels_last))
    expected.backward(direction)
    assert a.grad is not None and b.grad is not None and torch.equal(a.grad, b.grad)
