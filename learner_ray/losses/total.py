"""The loss that a configuration selects, and its sum with the mean squared error of the score."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from learner_ray.core.components import LOSSES
from learner_ray.core.config import LossConfig
from learner_ray.losses.base import Batch, Loss, TrainingScores


def build_loss(config: LossConfig, training: TrainingScores) -> Loss:
    """The loss that ``config.name`` selects.

    Raises:
        UserError: there is no loss of this name.
    """
    loss: Loss = LOSSES.get(config.name)(config, training)
    return loss


def total_loss(loss: Loss, batch: Batch, config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """``regression_weight * MSE + contrastive_weight * loss`` over the global batch.

    Returns:
        the scalar loss () to differentiate, and for the record ``loss``, ``mse`` and ``contrastive``,
        unweighted and detached.
    """
    wide = batch.widened()
    with torch.autocast(wide.embeddings.device.type, enabled=False):
        mse = F.mse_loss(wide.predictions, wide.scores)
    contrastive = loss(batch)
    total = config.regression_weight * mse + config.contrastive_weight * contrastive
    return total, {"loss": total.detach(), "mse": mse.detach(), "contrastive": contrastive.detach()}
