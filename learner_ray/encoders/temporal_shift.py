"""The temporal shift: some channels of a frame are replaced by those of its neighbours.

Source: Lin, Gan and Han 2019, "TSM: Temporal Shift Module for Efficient Video Understanding"
(arXiv 1811.08383), with the semantics of the authors' ``ops/temporal_shift.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def shifted_channels(channels: int, fraction: float) -> int:
    """Channels shifted in *each* direction: half of ``fraction``, rounded down."""
    return int(channels * fraction / 2)


Kernel = Callable[[Tensor, int, int, bool], Tensor]


def shift_kernel(x: Tensor) -> Kernel | None:
    """The shift as one kernel, for features (B * T, C, H, W) in channels_last on a GPU; else None."""
    if not x.is_cuda or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    return _gpu_kernel()


@functools.cache
def _gpu_kernel() -> Kernel | None:
    """Of PyTorch for GPUs Triton is a part, on most systems."""
    try:
        from learner_ray.encoders.temporal_shift_gpu import shift
    except ImportError:
        return None
    return shift


def temporal_shift(x: Tensor, frames: int, fraction: float) -> Tensor:
    """Shift a fraction of the channels by one frame, half from the next and half from the previous.

    With ``fold = int(C * fraction / 2)``, channels ``[:fold]`` of frame t are those of t + 1, channels
    ``[fold:2 * fold]`` those of t - 1, the rest stay; what lies beyond the clip is zero. The TSM paper's
    1/4 is ``shift_div=8`` of the reference code.

    Args:
        x: (B * T, C, H, W), the frames of a clip next to each other; its memory format is kept.
        frames: T.
        fraction: of all channels, in 0..1.

    Raises:
        ValueError: the first dimension is not a multiple of ``frames``, so clips would leak into each other.
    """
    if x.shape[0] % frames:
        raise ValueError(f"{len(x)} frames are not whole clips of {frames}")
    fold = shifted_channels(x.shape[1], fraction)
    # TorchScript keeps no Python function, and needs no gradient.
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return _shifted(x, frames, fold, reverse=False)
    shifted: Tensor = _TemporalShift.apply(x, frames, fold, False)  # type: ignore[no-untyped-call]
    return shifted


class _TemporalShift(torch.autograd.Function):
    """Copies once and edits the shifted slices: unlike cat or roll, channels_last survives.

    The shift is linear and its adjoint is the shift with the directions exchanged, so the backward pass
    is the same code and may itself be differentiated.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, frames: int, fold: int, reverse: bool) -> Tensor:
        ctx.arguments = frames, fold, not reverse
        if (kernel := shift_kernel(x)) is not None:
            return kernel(x, frames, fold, reverse)
        return _shifted(x, frames, fold, reverse=reverse)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        shifted: Tensor = _TemporalShift.apply(gradient, *ctx.arguments)  # type: ignore[no-untyped-call]
        return shifted, None, None, None


def _shifted(x: Tensor, frames: int, fold: int, *, reverse: bool) -> Tensor:
    out = x.clone()
    if fold == 0:
        return out
    earlier, later = slice(0, fold), slice(fold, 2 * fold)
    if reverse:
        earlier, later = later, earlier
    clips = (x.shape[0] // frames, frames, *x.shape[1:])
    source, target = x.view(clips), out.view(clips)
    target[:, :-1, earlier] = source[:, 1:, earlier]
    target[:, -1, earlier] = 0
    target[:, 1:, later] = source[:, :-1, later]
    target[:, 0, later] = 0
    return out
