"""The loss that a configuration selects, and its sum with the mean squared error of the score."""

from __future__ import annotations

from typing import NamedTuple

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


class Terms(NamedTuple):
    """Both parts of what pretraining minimises, unweighted scalars ()."""

    regression: Tensor
    """Scalar (): mean squared error of the predicted, standardised scores."""
    contrastive: Tensor
    """Scalar (): the loss that ``loss.name`` selects."""


def loss_terms(loss: Loss, batch: Batch) -> Terms:
    """The mean squared error and the loss over the global batch."""
    wide = batch.widened()
    with torch.autocast(wide.embeddings.device.type, enabled=False):
        regression = F.mse_loss(wide.predictions, wide.scores)
    return Terms(regression, loss(batch))


def total_loss(loss: Loss, batch: Batch, config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """``regression_weight * MSE + contrastive_weight * loss`` over the global batch, with raw weights.

    Returns:
        the scalar loss () to differentiate, and for the record ``loss``, ``mse`` and ``contrastive``,
        unweighted and detached.
    """
    terms = loss_terms(loss, batch)
    total = config.regression_weight * terms.regression + config.contrastive_weight * terms.contrastive
    return total, recorded(total, terms)


def recorded(total: Tensor, terms: Terms) -> dict[str, Tensor]:
    """What a step writes down of its loss: ``loss``, ``mse`` and ``contrastive``, scalars (), detached."""
    return {
        "loss": total.detach(), "mse": terms.regression.detach(), "contrastive": terms.contrastive.detach()
    }  # fmt: skip
