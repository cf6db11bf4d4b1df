"""The settings of a loss, for tests."""

from __future__ import annotations

from typing import Any

from learner_ray.core.config import Config, LossConfig


def settings(**values: Any) -> LossConfig:
    """What a configuration with ``loss.<key>`` values gives the loss that is named; others' keys do not
    matter."""
    return Config().with_values({f"loss.{key}": value for key, value in values.items()}).loss
