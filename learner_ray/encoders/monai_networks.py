"""Networks of MONAI (https://monai.io), an extra: ``pip install 'learner-ray[monai]'``.

Two changes are made to them. Dropout is off, since its draws would depend on how many devices share a batch.
Pooling over volumes is computed in another way, since PyTorch's has no deterministic gradient on GPUs (see
``torch.use_deterministic_algorithms``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, cast

import torch
from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.efficientnet import EfficientNetBN, MBConvBlock
from monai.networks.nets.resnet import ResNetBlock, ResNetBottleneck, resnet18, resnet50
from torch import Tensor, nn

from learner_ray.core.sections import EncoderConfig
from learner_ray.encoders.base import Encoder, FrameEncoder
from learner_ray.encoders.normalisation import with_norm
from learner_ray.encoders.temporal_shift import temporal_shift
from learner_ray.encoders.weights import read_weights, take_weights


class _Monai(Encoder):
    """A network of MONAI's."""

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__(config, frames)
        self.network = self._make()
        with_norm(self.network, config.norm)

    @abstractmethod
    def _make(self) -> nn.Module:
        """The network without a classifier, before its normalisation is chosen."""

    def load_weights(self, spec: str) -> None:
        """Replaces the weights by those of a file: a state dict with MONAI's names, or a network that this
        package saved.

        Raises:
            UserError: the file is missing, unreadable or of another network.
        """
        state = {name.removeprefix("network."): tensor for name, tensor in read_weights(spec).items()}
        take_weights(self.network, state, spec, f"the encoder {self.name}")


class _ByFrame(_Monai, FrameEncoder):
    """A MONAI network of two dimensions over the frames of a clip."""

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__(config, frames)
        if config.shift_fraction:
            for convolution in self._first_convolutions():
                convolution.register_forward_pre_hook(self._shifted)

    def _first_convolutions(self) -> Iterable[nn.Module]:
        """The first convolution of each residual block, which the shift is put before; the identity path
        stays unshifted."""
        return ()

    def _shifted(self, convolution: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return temporal_shift(inputs[0], self.frames, self.config.shift_fraction)

    def features(self, frames: Tensor) -> Tensor:
        """Pooled features of single frames: (B * T, 1, H, W) -> (B * T, ``width``), float32 at least."""
        features: Tensor = self.network(frames)
        return features


class _Mean(nn.Module):
    """The mean over all pixels or voxels, in float32 at least: (N, C, ...) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2, dtype=torch.promote_types(x.dtype, torch.float32))


def _resnet(make: Any, dimensions: int) -> nn.Module:
    """A ResNet of MONAI's with the layers of the published one, without a classifier; its own pooling fails
    on a batch of no scans."""
    network: nn.Module = make(
        pretrained=False,
        spatial_dims=dimensions,
        n_input_channels=1,
        conv1_t_stride=2,
        bias_downsample=False,
        feed_forward=False,
    )
    layers = OrderedDict((name, layer) for name, layer in network.named_children() if name != "avgpool")
    return nn.Sequential(OrderedDict(**layers, mean=_Mean()))


class MonaiResNet18(_ByFrame):
    """MONAI's ResNet-18 with the temporal shift: 11.2 million parameters, embeddings of 512 numbers."""

    name = "monai_resnet18"
    width = 512

    def _make(self) -> nn.Module:
        return _resnet(resnet18, 2)

    def _first_convolutions(self) -> Iterable[nn.Module]:
        return [m.conv1 for m in self.network.modules() if isinstance(m, ResNetBlock | ResNetBottleneck)]


class MonaiResNet50(MonaiResNet18):
    """MONAI's ResNet-50 with the temporal shift: 23.5 million parameters, embeddings of 2048 numbers."""

    name = "monai_resnet50"
    width = 2048

    def _make(self) -> nn.Module:
        return _resnet(resnet50, 2)


class MonaiEfficientNetB0(_ByFrame):
    """MONAI's EfficientNet-B0: 4.0 million parameters, embeddings of 1280 numbers.

    The temporal shift is put before the expansion of each block that has an identity path, as the TSM
    reference code does with MobileNetV2. Running statistics follow with PyTorch's momentum 0.1: the published
    0.01 is for more steps than our studies train.
    """

    name = "monai_efficientnet_b0"
    width = 1280

    def _make(self) -> nn.Module:
        network = EfficientNetBN(
            "efficientnet-b0",
            pretrained=False,
            in_channels=1,
            norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
        )
        for block in network.modules():
            if isinstance(block, MBConvBlock):
                block.drop_connect_rate = 0.0
        network._avg_pooling = _Mean()
        network._dropout = nn.Identity()
        network._fc = nn.Identity()
        return cast(nn.Module, network)

    def _first_convolutions(self) -> Iterable[nn.Module]:
        return [
            m._expand_conv
            for m in self.network.modules()
            if isinstance(m, MBConvBlock)
            and (m.id_skip and m.stride == 1 and m.in_channels == m.out_channels)
        ]


class MonaiDenseNet121(_ByFrame):
    """MONAI's DenseNet-121: 6.9 million parameters, embeddings of 1024 numbers. It has no residual blocks, so
    the features of the frames are averaged and nothing is shifted between them."""

    name = "monai_densenet121"
    width = 1024

    def _make(self) -> nn.Module:
        return _densenet(2)


def _densenet(dimensions: int) -> nn.Module:
    network = DenseNet121(dimensions, in_channels=1, out_channels=1)
    network.class_layers = nn.Sequential(network.class_layers.relu, _Mean())
    return cast(nn.Module, network)


class _Volume(_Monai):
    """A MONAI network of three dimensions: the T frames are the slices of a volume, and T its depth."""

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__(config, frames)
        _pool_deterministically(self.network)

    def forward(self, clips: Tensor) -> Tensor:
        """Embeds volumes: (B, T, H, W) -> (B, ``width``)."""
        embedding: Tensor = self.network(clips.unsqueeze(1))
        return embedding


class MonaiResNet18In3d(_Volume):
    """MONAI's ResNet-18 in three dimensions: 33.2 million parameters, embeddings of 512 numbers."""

    name = "monai_resnet18_3d"
    width = 512

    def _make(self) -> nn.Module:
        return _resnet(resnet18, 3)


class MonaiDenseNet121In3d(_Volume):
    """MONAI's DenseNet-121 in three dimensions: 11.2 million parameters, embeddings of 1024 numbers."""

    name = "monai_densenet121_3d"
    width = 1024

    def _make(self) -> nn.Module:
        return _densenet(3)


def _pool_deterministically(network: nn.Module) -> None:
    for name, child in network.named_children():
        if isinstance(child, nn.MaxPool3d):
            setattr(network, name, _MaxPool3d())
        elif isinstance(child, nn.AvgPool3d):
            setattr(network, name, _AvgPool3d())
        else:
            _pool_deterministically(child)


class _MaxPool3d(nn.Module):
    """``nn.MaxPool3d(3, stride=2, padding=1)``, one dimension after the other; where voxels tie, their
    gradient is shared."""

    def forward(self, x: Tensor) -> Tensor:
        for dim in (2, 3, 4):
            odd = x.narrow(dim, 1, x.shape[dim] - 1)[_every_other(dim)]
            even = x[_every_other(dim)]
            # Window k holds voxels 2k - 1, 2k and 2k + 1, as far as there are any.
            before = torch.cat([even.narrow(dim, 0, 1), odd], dim).narrow(dim, 0, even.shape[dim])
            last = even.narrow(dim, odd.shape[dim], even.shape[dim] - odd.shape[dim])
            after = torch.cat([odd, last], dim)
            x = torch.maximum(torch.maximum(even, before), after)
        return x


def _every_other(dim: int) -> tuple[slice, ...]:
    return (slice(None),) * dim + (slice(None, None, 2),)


class _AvgPool3d(nn.Module):
    """``nn.AvgPool3d(2, stride=2)``; a dimension of one voxel is left as it is, so that volumes of few slices
    have features too."""

    def forward(self, x: Tensor) -> Tensor:
        for dim in (2, 3, 4):
            pairs = x.shape[dim] // 2
            if pairs:
                left, right = (x.narrow(dim, i, 2 * pairs - 1)[_every_other(dim)] for i in (0, 1))
                x = (left + right) / 2
        return x
