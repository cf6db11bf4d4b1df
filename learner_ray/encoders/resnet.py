"""ResNets with torchvision's parameter names and a temporal shift in every residual block.

Source: He et al. 2016 (arXiv 1512.03385); the shift sits before ``conv1`` of each block and the identity path
stays unshifted (``blockres`` of the TSM reference code). In a bottleneck block the middle convolution has the
stride, as in torchvision. Our own, since its public weights must load where torchvision does not import.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learner_ray.core.sections import EncoderConfig
from learner_ray.encoders.base import FrameEncoder
from learner_ray.encoders.normalisation import GROUPS, FrozenBatchNorm, Norm
from learner_ray.encoders.temporal_shift import shifted_channels, temporal_shift
from learner_ray.encoders.weights import (
    download_weights,
    encoder_entries,
    match_channels,
    read_weights,
    take_weights,
)


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind in ("frozen", "partial"):
        return FrozenBatchNorm(channels)
    return nn.GroupNorm(GROUPS, channels)


def convolved_by_patches(convolution: nn.Conv2d, frames: Tensor) -> Tensor:
    """The first convolution of grey frames, 7x7 in steps of 2, as one matrix product: (N, 1, H, W) -> (N, 64,
    H', W') in channels_last.

    On a GPU a convolution of one channel is computed as one of eight, and takes a tenth of a training step.
    The kernel gets a row and a column of zeros, since 64 numbers per patch suit the matrix units.
    """
    if torch.is_autocast_enabled(frames.device.type):
        frames = frames.to(torch.get_autocast_dtype(frames.device.type))
    size, step, before = 8, 2, 3
    height, width = ((length - 1) // step + 1 for length in frames.shape[2:])
    right, below = (
        step * (count - 1) + size - before - length
        for count, length in ((width, frames.shape[3]), (height, frames.shape[2]))
    )
    padded = F.pad(frames[:, 0], (before, right, before, below))
    rows = len(frames) * height * width
    patches = padded.unfold(1, size, step).unfold(2, size, step).reshape(rows, size * size)
    channels = convolution.out_channels
    kernel = F.pad(convolution.weight[:, 0], (0, 1, 0, 1)).reshape(channels, size * size)
    return F.linear(patches, kernel).view(len(frames), height, width, channels).permute(0, 3, 1, 2)


class _Block(nn.Module, ABC):
    """A residual block; the shift feeds its first convolution only."""

    expansion: ClassVar[int]
    """Channels that leave the block, relative to those of its 3x3 convolution."""

    def __init__(
        self, inputs: int, channels: int, stride: int, *, norm: Norm, frames: int, shift_fraction: float
    ) -> None:
        super().__init__()
        self.frames = frames
        self.shift_fraction = shift_fraction
        self.shifts = shifted_channels(inputs, shift_fraction) > 0
        self._make(inputs, channels, stride, norm)
        outputs = channels * self.expansion
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), _norm(norm, outputs)
            )

    @abstractmethod
    def _make(self, inputs: int, channels: int, stride: int, norm: Norm) -> None:
        """Makes the layers beside the identity path."""

    @abstractmethod
    def _residual(self, x: Tensor) -> Tensor:
        """What is added to the identity path: (N, C, H, W) -> (N, C', H', W')."""

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        if self.shifts:
            x = temporal_shift(x, self.frames, self.shift_fraction)
        x = self._residual(x)
        x += identity
        return F.relu(x, inplace=True)


class BasicBlock(_Block):
    """Two 3x3 convolutions beside an identity path."""

    expansion = 1

    def _make(self, inputs: int, channels: int, stride: int, norm: Norm) -> None:
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = _norm(norm, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = _norm(norm, channels)

    def _residual(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual: Tensor = self.bn2(self.conv2(x))
        return residual


class Bottleneck(_Block):
    """A 3x3 convolution between two 1x1 ones, beside an identity path."""

    expansion = 4

    def _make(self, inputs: int, channels: int, stride: int, norm: Norm) -> None:
        outputs = channels * self.expansion
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = _norm(norm, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = _norm(norm, channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = _norm(norm, outputs)

    def _residual(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        residual: Tensor = self.bn3(self.conv3(x))
        return residual


class TsmResNet(FrameEncoder):
    """A ResNet over the frames of a clip, with the temporal shift in every residual block.

    Args:
        config: of it, ``shift_fraction`` (0 runs no shift code at all) and ``norm`` are looked at: ``batch``,
            ``frozen`` (constants), ``partial`` (all frozen but the first, the partial batch normalisation of
            Wang et al. 2016, arXiv 1608.00859, sec. 3.2) or ``group`` (32 groups).
        frames: T, which the shift needs to tell clips apart.
        channels: of the input, one for grey.
    """

    block: ClassVar[type[_Block]]
    blocks: ClassVar[tuple[int, int, int, int]]
    """Residual blocks of each stage."""
    title: ClassVar[str]
    """What messages call it."""
    imagenet: ClassVar[str]
    """Where torchvision's ``IMAGENET1K_V1`` weights lie; the name carries the start of their SHA-256."""

    def __init__(self, config: EncoderConfig, frames: int, channels: int = 1) -> None:
        super().__init__(config, frames)
        norm, fraction = config.norm, config.shift_fraction
        self.width = 512 * self.block.expansion
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = _norm("batch" if norm == "partial" else norm, 64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)

        def stage(inputs: int, width: int, stride: int, count: int) -> nn.Sequential:
            firsts = [(inputs, stride)] + [(width * self.block.expansion, 1)] * (count - 1)
            return nn.Sequential(
                *(
                    self.block(i, width, s, norm=norm, frames=frames, shift_fraction=fraction)
                    for i, s in firsts
                )
            )

        wide = self.block.expansion
        self.layer1 = stage(64, 64, 1, self.blocks[0])
        self.layer2 = stage(64 * wide, 128, 2, self.blocks[1])
        self.layer3 = stage(128 * wide, 256, 2, self.blocks[2])
        self.layer4 = stage(256 * wide, 512, 2, self.blocks[3])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, frames: Tensor) -> Tensor:
        """Pooled features of single frames: (B * T, 1, H, W) -> (B * T, ``width``), float32 at least."""
        # The same bits as pooling what was rectified, since both keep the order, on a quarter of the pixels.
        by_patches = frames.is_cuda and self.conv1.in_channels == 1
        x = convolved_by_patches(self.conv1, frames) if by_patches else self.conv1(frames)
        x = F.relu(self.maxpool(self.bn1(x)), inplace=True)
        deepest: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return deepest.mean((2, 3), dtype=torch.promote_types(deepest.dtype, torch.float32))

    def load_weights(self, spec: str) -> None:
        """Replaces the weights by those of a file, or by ImageNet's.

        A file is a state dict with torchvision's names, or a network saved by this package; classifier
        weights are left out. A three-channel ``conv1`` is summed over RGB. ImageNet normalisation,
        (grey - mean_c) / sd_c per channel, is thereby folded in as the identity: our scans are standardised
        already, so they stand for the *normalised* channels, which are equal for a grey image up to 0.16 of
        an SD. Nothing is left for a bias that ``conv1`` does not have.

        With ``norm="group"`` only the convolutions are taken: batch normalisation's scale and offset belong
        to statistics that group normalisation does not use.

        Args:
            spec: ``imagenet``, downloaded once into torch's hub cache and checked by hash, or a path.

        Raises:
            UserError: the file is missing, unreadable or of another network, or the download fails.
        """
        state = encoder_entries(download_weights(self.imagenet)) if spec == "imagenet" else read_weights(spec)
        first = state.get("conv1.weight")
        if first is not None and first.ndim == 4:
            state["conv1.weight"] = match_channels(first, self.conv1.in_channels)
        take_weights(self, state, spec, f"a {self.title}")


_PUBLIC = "https://download.pytorch.org/models"


class TsmResNet18(TsmResNet):
    """ResNet-18 with the temporal shift: 11.2 million parameters, embeddings of 512 numbers."""

    name = "tsm_resnet18"
    title = "ResNet-18"
    block = BasicBlock
    blocks = (2, 2, 2, 2)
    imagenet = f"{_PUBLIC}/resnet18-f37072fd.pth"


class TsmResNet34(TsmResNet):
    """ResNet-34 with the temporal shift: 21.3 million parameters, embeddings of 512 numbers."""

    name = "tsm_resnet34"
    title = "ResNet-34"
    block = BasicBlock
    blocks = (3, 4, 6, 3)
    imagenet = f"{_PUBLIC}/resnet34-b627a593.pth"


class TsmResNet50(TsmResNet):
    """ResNet-50 with the temporal shift: 23.5 million parameters, embeddings of 2048 numbers."""

    name = "tsm_resnet50"
    title = "ResNet-50"
    block = Bottleneck
    blocks = (3, 4, 6, 3)
    imagenet = f"{_PUBLIC}/resnet50-0676ba61.pth"
