"""A small 3D encoder with a setting of its own."""

from dataclasses import dataclass

from torch import Tensor, nn

from learner_ray.encoders import Encoder, VolumeConfig


class Tiny3d(Encoder):
    """One 3D convolution over time and space, and a mean over all voxels."""

    name = "tiny_3d"

    @dataclass(frozen=True, kw_only=True)
    class Config(VolumeConfig):
        channels: int = 16
        """Channels of the convolution, the length of an embedding."""

    config: Config

    def __init__(self, config: Config, frames: int) -> None:
        super().__init__(config, frames)
        self.width = config.channels
        self.layers = nn.Sequential(nn.Conv3d(1, config.channels, 3, padding=1), nn.ReLU())

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, T, H, W) to embeddings (B, channels)."""
        embedded: Tensor = self.layers(clips.unsqueeze(1)).flatten(2).mean(2)
        return embedded
