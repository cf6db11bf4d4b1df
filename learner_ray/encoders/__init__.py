"""Encoders, and the network that is trained: an encoder with its heads.

The settings of the encoders lie here too, and are wanted before PyTorch is loaded: so the names below are
imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from learner_ray.core.lazy import lazy_names

if TYPE_CHECKING:
    from learner_ray.core.sections import EncoderConfig as EncoderConfig
    from learner_ray.encoders.base import Encoder as Encoder
    from learner_ray.encoders.base import FrameEncoder as FrameEncoder
    from learner_ray.encoders.configs import UnshiftedConfig as UnshiftedConfig
    from learner_ray.encoders.configs import VolumeConfig as VolumeConfig
    from learner_ray.encoders.network import Network as Network
    from learner_ray.encoders.network import Output as Output
    from learner_ray.encoders.network import build_network as build_network
    from learner_ray.encoders.normalisation import with_norm as with_norm

_WHERE = {
    "Encoder": "encoders.base",
    "EncoderConfig": "core.sections",
    "FrameEncoder": "encoders.base",
    "Network": "encoders.network",
    "Output": "encoders.network",
    "UnshiftedConfig": "encoders.configs",
    "VolumeConfig": "encoders.configs",
    "build_network": "encoders.network",
    "with_norm": "encoders.normalisation",
}
__all__ = [
    "Encoder",
    "EncoderConfig",
    "FrameEncoder",
    "Network",
    "Output",
    "UnshiftedConfig",
    "VolumeConfig",
    "build_network",
    "with_norm",
]

__getattr__ = lazy_names(__name__, _WHERE)
