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
    from learner_ray.losses.total import loss_terms as loss_terms
    from learner_ray.losses.total import total_loss as total_loss
    from learner_ray.losses.weighting import Weighting as Weighting

_WHERE = {
    "Batch": "losses.base",
    "Loss": "losses.base",
    "TrainingScores": "losses.base",
    "LossConfig": "core.sections",
    "Weighting": "losses.weighting",
    "build_loss": "losses.total",
    "loss_terms": "losses.total",
    "total_loss": "losses.total",
}
__all__ = [
    "Batch", "Loss", "LossConfig", "TrainingScores", "Weighting", "build_loss", "loss_terms", "total_loss",
]  # fmt: skip

__getattr__ = lazy_names(__name__, _WHERE)
