"""What pretraining minimises: one file per loss, one interface.

The settings of the losses lie here too, and are wanted before PyTorch is loaded: so the names below are
imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from learner_ray.core.lazy import lazy_names

if TYPE_CHECKING:
    from learner_ray.core.sections import LossConfig as LossConfig
    from learner_ray.losses.base import Batch as Batch
    from learner_ray.losses.base import Loss as Loss
    from learner_ray.losses.base import TrainingScores as TrainingScores
    from learner_ray.losses.total import build_loss as build_loss
    from learner_ray.losses.total import total_loss as total_loss

_WHERE = {
    "Batch": "losses.base",
    "Loss": "losses.base",
    "TrainingScores": "losses.base",
    "LossConfig": "core.sections",
    "build_loss": "losses.total",
    "total_loss": "losses.total",
}
__all__ = ["Batch", "Loss", "LossConfig", "TrainingScores", "build_loss", "total_loss"]

__getattr__ = lazy_names(__name__, _WHERE)
