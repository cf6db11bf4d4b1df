"""The network that is trained: encoder, score head and, where asked for, a projection head."""

from __future__ import annotations

import contextlib
import threading
from typing import NamedTuple

import torch
from torch import Tensor, nn

from learner_ray.core.caching import cached_once
from learner_ray.core.components import ENCODERS
from learner_ray.core.config import EncoderConfig
from learner_ray.core.errors import UserError
from learner_ray.encoders.base import Encoder

RANDOM = threading.RLock()
"""Held while PyTorch's global generator is seeded or drawn from: all threads of a process share it, and a run
beside this one may build its network at the same moment."""


class Output(NamedTuple):
    """What the network says of B scans, in the weights' own numbers also under autocast."""

    embedding: Tensor
    """(B, width of the encoder): what progression is read off."""
    score: Tensor
    """(B,): predicted score, standardised."""
    projection: Tensor
    """(B, P): what the contrastive term compares; the embedding itself without a projection head."""


class Network(nn.Module):
    """An encoder over clips of a fixed number of frames, and the heads on it.

    Args:
        config: which encoder, its settings and the width of the projection head. ``weights`` is not looked
            at here, see :func:`build_network`.
        frames: T of every clip.

    Raises:
        UserError: there is no encoder of this name, or it does not say how long its embedding is.
    """

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.encoder: Encoder = ENCODERS.get(config.name)(config, frames)
        # The weight gradient of a bfloat16 Conv3d on a CPU is wrong where few slices are left: seen with
        # torch 2.13, whose oneDNN gives 1e36 or NaN for 2 slices and a kernel of 3.
        self._float32_on_cpu = any(isinstance(layer, nn.Conv3d) for layer in self.encoder.modules())
        width = _width(self.encoder, config.name)
        self.score = nn.Linear(width, 1)
        self.projection: nn.Module = nn.Identity()
        if config.projection_dim:
            self.projection = nn.Sequential(
                nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, config.projection_dim)
            )

    def forward(self, x: Tensor) -> Output:
        """Args: x: (B, T, H, W), grey clips standardised per scan, in any floating-point numbers.

        Raises:
            ValueError: ``x`` is not of this shape or T is not what the network was built for; or the encoder
                gives embeddings of another shape than it says.
        """
        if x.ndim != 4 or x.shape[1] != self.frames:
            raise ValueError(f"expected (B, {self.frames}, H, W), not {tuple(x.shape)}")
        numbers = self.score.weight.dtype
        with self._encoder_precision(x.device.type):
            embedding = self.encoder(x.to(numbers)).to(numbers)
        # x.shape[0], here and in encoders: len() would fix the number of scans of an exported network.
        if embedding.shape != (x.shape[0], self.encoder.width):
            raise ValueError(
                f"the encoder {self.encoder.config.name} gave {tuple(embedding.shape)} for {len(x)} scans; "
                f"its forward must give (B, width), here {(len(x), self.encoder.width)}"
            )
        # bfloat16 would leave the scores three digits, for no gain: the heads cost next to nothing.
        with torch.autocast(x.device.type, enabled=False):
            return Output(embedding, self.score(embedding).squeeze(1), self.projection(embedding))

    def _encoder_precision(self, device: str) -> contextlib.AbstractContextManager[object]:
        if self._float32_on_cpu and device == "cpu":
            return torch.autocast(device, enabled=False)
        return contextlib.nullcontext()


def _width(encoder: Encoder, name: str) -> int:
    width = getattr(encoder, "width", None)
    if not isinstance(width, int) or width < 1:
        raise UserError(
            f"the encoder {name!r} has the width {width!r}: set self.width to the length of its embedding, "
            "in its __init__ or in the class"
        )
    return width


def build_network(config: EncoderConfig, frames: int, seed: int) -> Network:
    """A network in channels_last whose weights follow from the seed alone, or from ``config.weights``.

    Of one encoder, the initial weights are equal for every shift fraction, normalisation and projection head,
    so that arms are paired. The global random state is left as it was.

    Raises:
        UserError: there is no such encoder, or ``config.weights`` cannot be had.
    """
    with RANDOM, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = Network(config, frames)
    if config.weights != "none":
        network.encoder.load_weights(config.weights)
    # Not module.to(), which refuses a network that has tensors of three spatial dimensions; and not
    # contiguous(), which would leave the strides of a single channel, and with them other kernels.
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return network


@cached_once(maxsize=64)
def network_bytes(config: EncoderConfig, frames: int) -> int:
    """The size of a network's weights and statistics in float32: what its file takes on a disk, and measures
    what its training takes of a device's memory."""
    with RANDOM, torch.random.fork_rng(devices=[]):
        state = Network(config, frames).state_dict()
    return sum(tensor.nbytes for tensor in state.values())
