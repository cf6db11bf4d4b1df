"""The interface of an encoder, and the form of those that look at one frame at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from learner_ray.core.components import ENCODERS
from learner_ray.core.sections import EncoderConfig
from learner_ray.encoders.weights import read_weights, take_weights


class Encoder(nn.Module, ABC):
    """The backbone: it turns the frames of a scan into one embedding.

    A subclass has a ``name``, sets ``width`` and has a :meth:`forward`. All its random numbers are drawn
    when it is made, from PyTorch's global generator, which is seeded then. In training a scan may influence
    another one of its batch through batch normalisation only, and in evaluation not at all: so several
    devices train what one does.

    Args:
        config: the settings, of the class ``Config``.
        frames: T, the frames of every clip or the slices of every volume.
    """

    name: ClassVar[str]
    """What ``encoder.name`` selects it by."""
    Config: ClassVar[type[EncoderConfig]] = EncoderConfig
    """Its settings, a frozen dataclass; each field is a key ``encoder.<field>``. What it says of the encoder
    beside (``shifts``, ``volumetric``) is known before PyTorch is loaded."""
    width: int
    """Length of the embedding."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ENCODERS.added(cls)

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__()
        self.config = config
        self.frames = frames

    @abstractmethod
    def forward(self, clips: Tensor) -> Tensor:
        """Embeds scans.

        Args:
            clips: (B, T, H, W), grey values standardised per scan, in the number format of the weights. B may
                be 0: of few scans, some device has none.

        Returns:
            (B, ``width``).
        """

    def load_weights(self, spec: str) -> None:
        """Replaces the weights by those of a file: a state dict with the encoder's own names, or a network
        that this package saved.

        Args:
            spec: ``encoder.weights`` of the configuration, a path.

        Raises:
            UserError: the file is missing, unreadable or of another encoder; or ``imagenet`` is asked for,
                which an encoder has to bring itself.
        """
        take_weights(self, read_weights(spec), spec, f"the encoder {self.name}")


class FrameEncoder(Encoder):
    """An encoder of single frames, whose features are averaged over a clip."""

    @abstractmethod
    def features(self, frames: Tensor) -> Tensor:
        """The features of single frames.

        Args:
            frames: (B * T, 1, H, W); the T frames of a clip lie next to each other.

        Returns:
            (B * T, ``width``).
        """

    def forward(self, clips: Tensor) -> Tensor:
        """Embeds scans: (B, T, H, W) -> (B, ``width``), the mean of the frames' features."""
        features = self.features(clips.flatten(0, 1).unsqueeze(1))
        clip_features: Tensor = features.unflatten(0, (-1, self.frames))  # type: ignore[no-untyped-call]
        return clip_features.mean(1)
