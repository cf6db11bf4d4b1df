"""How fast one device trains and embeds."""

from __future__ import annotations

from dataclasses import dataclass

from learner_ray.core.components import LOSSES
from learner_ray.core.config import Config


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Seconds that one device takes, measured on the base configuration."""

    train_per_scan: float
    """Seconds for one scan in one epoch of pretraining."""
    evaluate_per_scan: float
    """Seconds to embed one scan."""
    device: str = ""
    """The make of the device that was timed: the card's name, or the processor's; empty where none was."""


def paced_as(config: Config) -> str:
    """What decides how long a scan takes in training: the name of the encoder, and the number of views where
    a step sees several of each scan."""
    views = LOSSES.get(config.loss.name).views_of(config.loss) if config.pretrains else 1
    return config.encoder.name if views == 1 else f"{config.encoder.name}, {views} views"
