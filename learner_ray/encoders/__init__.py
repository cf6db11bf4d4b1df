"""The encoder: temporal shift, ResNet-18, weights."""

from learner_ray.encoders.network import Network, Output, build_network
from learner_ray.encoders.resnet import WIDTH, ResNet18
from learner_ray.encoders.temporal_shift import shifted_channels, temporal_shift
from learner_ray.encoders.weights import load_weights

__all__ = [
    "WIDTH",
    "Network",
    "Output",
    "ResNet18",
    "build_network",
    "load_weights",
    "shifted_channels",
    "temporal_shift",
]
