"""The network that is trained: encoder, score head and, where asked for, a projection head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from learner_ray.core.config import EncoderConfig
from learner_ray.encoders.resnet import WIDTH, ResNet18
from learner_ray.encoders.weights import load_weights


class Output(NamedTuple):
    """What the network says of B scans, in the weights' own numbers also under autocast."""

    embedding: Tensor
    """(B, 512): pooled features averaged over the frames; what progression is read off."""
    score: Tensor
    """(B,): predicted score, standardised."""
    projection: Tensor
    """(B, P): what the contrastive term compares; the embedding itself without a projection head."""


class Network(nn.Module):
    """A ResNet-18 with the temporal shift over clips of a fixed number of frames.

    Args:
        config: shift fraction, normalisation and width of the projection head. ``weights`` is not looked
            at here, see :func:`build_network`.
        frames: T of every clip.
    """

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.encoder = ResNet18(frames, shift_fraction=config.shift_fraction, norm=config.norm)
        self.score = nn.Linear(WIDTH, 1)
        self.projection: nn.Module = nn.Identity()
        if config.projection_dim:
            self.projection = nn.Sequential(
                nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True), nn.Linear(WIDTH, config.projection_dim)
            )

    def forward(self, x: Tensor) -> Output:
        """Args: x: (B, T, H, W), grey clips standardised per scan, in any floating-point numbers.

        Raises:
            ValueError: ``x`` is not of this shape or T is not what the network was built for.
        """
        if x.ndim != 4 or x.shape[1] != self.frames:
            raise ValueError(f"expected (B, {self.frames}, H, W), not {tuple(x.shape)}")
        features = self.encoder(x.to(self.score.weight.dtype).flatten(0, 1).unsqueeze(1))
        embedding = features.unflatten(0, (-1, self.frames)).mean(1)
        # bfloat16 would leave the scores three digits, for no gain: the heads cost next to nothing.
        with torch.autocast(x.device.type, enabled=False):
            return Output(embedding, self.score(embedding).squeeze(1), self.projection(embedding))


def build_network(config: EncoderConfig, frames: int, seed: int) -> Network:
    """A network in channels_last whose weights follow from the seed alone, or from ``config.weights``.

    The encoder's initial weights are equal for every shift fraction, normalisation and projection head,
    so that arms are paired. The global random state is left as it was.

    Raises:
        UserError: ``config.weights`` cannot be had.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = Network(config, frames)
    if config.weights != "none":
        load_weights(network.encoder, config.weights)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
