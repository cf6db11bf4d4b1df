"""ResNet-18 with torchvision's parameter names and a temporal shift in every residual block.

Source: He et al. 2016 (arXiv 1512.03385); the shift sits before ``conv1`` of each of the eight blocks
and the identity path stays unshifted (``blockres`` of the TSM reference code). Our own, since its public
weights must load where torchvision does not import.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learner_ray.encoders.temporal_shift import shifted_channels, temporal_shift

Norm = Literal["batch", "partial", "frozen", "group"]

WIDTH = 512
"""Channels of the last stage, the length of an embedding."""
GROUPS = 32
"""Groups of ``norm="group"`` at every width, the default of Wu and He 2018 (arXiv 1803.08494)."""


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics and affine map are constants: buffers, never trained.

    Equal to ``BatchNorm2d`` in evaluation mode. Freshly made it is the identity.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind in ("frozen", "partial"):
        return FrozenBatchNorm2d(channels)
    return nn.GroupNorm(GROUPS, channels)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside an identity path; the shift feeds the first convolution only."""

    def __init__(
        self, inputs: int, channels: int, stride: int, *, norm: Norm, frames: int, shift_fraction: float
    ) -> None:
        super().__init__()
        self.frames = frames
        self.shift_fraction = shift_fraction
        self.shifts = shifted_channels(inputs, shift_fraction) > 0
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = _norm(norm, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = _norm(norm, channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, channels, 1, stride, bias=False), _norm(norm, channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        if self.shifts:
            x = temporal_shift(x, self.frames, self.shift_fraction)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        x += identity
        return F.relu(x, inplace=True)


class ResNet18(nn.Module):
    """Frames to pooled features: (B * T, C, H, W) -> (B * T, 512), float32 at least.

    Args:
        frames: T, which the shift needs to tell clips apart.
        shift_fraction: of the channels, in total; 0 runs no shift code at all.
        norm: ``batch``, ``frozen`` (constants), ``partial`` (all frozen but the first, the partial batch
            normalisation of Wang et al. 2016, arXiv 1608.00859, sec. 3.2) or ``group`` (32 groups).
        channels: of the input, one for grey.
    """

    def __init__(
        self, frames: int, *, shift_fraction: float = 0.0, norm: Norm = "batch", channels: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = _norm("batch" if norm == "partial" else norm, 64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)

        def stage(inputs: int, width: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                *(
                    BasicBlock(i, width, s, norm=norm, frames=frames, shift_fraction=shift_fraction)
                    for i, s in ((inputs, stride), (width, 1))
                )
            )

        self.layer1 = stage(64, 64, 1)
        self.layer2 = stage(64, 128, 2)
        self.layer3 = stage(128, 256, 2)
        self.layer4 = stage(256, WIDTH, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        # The same bits as pooling what was rectified, since both keep the order, on a quarter of the pixels.
        x = F.relu(self.maxpool(self.bn1(self.conv1(x))), inplace=True)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
