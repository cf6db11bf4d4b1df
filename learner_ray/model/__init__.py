"""The encoder: temporal shift, ResNet-18, weights."""

from learner_ray.model.network import Network, Output, build_network
from learner_ray.model.resnet import WIDTH, ResNet18
from learner_ray.model.temporal_shift import shifted_channels, temporal_shift
from learner_ray.model.weights import load_weights

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
