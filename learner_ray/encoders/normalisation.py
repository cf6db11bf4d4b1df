"""What ``encoder.norm`` makes of a network that normalises over the batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["batch", "partial", "frozen", "group"]

GROUPS = 32
"""Groups of ``norm="group"`` at every width, the default of Wu and He 2018 (arXiv 1803.08494)."""
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class FrozenBatchNorm(nn.Module):
    """Batch normalisation whose statistics and affine map are constants: buffers, never trained.

    Equal to ``BatchNorm2d`` in evaluation mode, for any number of dimensions. Freshly made it is the
    identity.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises features (N, C, ...) by the constants of their C channels; the shape stays."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def with_norm(network: nn.Module, norm: Norm) -> None:
    """Exchanges the batch normalisation of a network that was just made; parameters keep their names.

    Args:
        network: changed in place.
        norm: ``batch`` (nothing is changed), ``frozen`` (constants), ``partial`` (all frozen but the first,
            the partial batch normalisation of Wang et al. 2016, arXiv 1608.00859, sec. 3.2) or ``group``
            (groups of channels).

    Raises:
        ValueError: the channels of some layer cannot be divided into 32 groups.
    """
    if norm == "batch":
        return
    layers = [name for name, layer in network.named_modules() if isinstance(layer, BATCH_NORMS)]
    for name in layers[1:] if norm == "partial" else layers:
        parent, _, own = name.rpartition(".")
        layer = network.get_submodule(name)
        assert isinstance(layer, BATCH_NORMS)
        channels = layer.num_features
        setattr(
            network.get_submodule(parent),
            own,
            nn.GroupNorm(GROUPS, channels) if norm == "group" else FrozenBatchNorm(channels, layer.eps),
        )
