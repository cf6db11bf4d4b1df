"""What pretraining minimises: one file per objective, one interface, one registry."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from learner_ray.core.config import ObjectiveConfig
from learner_ray.core.errors import UserError
from learner_ray.losses.adacon import AdaCon
from learner_ray.losses.base import Batch, Objective, TrainingScores
from learner_ray.losses.contrastive import Contrastive
from learner_ray.losses.expw import ExpW
from learner_ray.losses.log_ratio import LogRatio
from learner_ray.losses.mse import Mse
from learner_ray.losses.rank_n_contrast import RankNContrast
from learner_ray.losses.siamese import Siamese
from learner_ray.losses.supcon import SupCon
from learner_ray.losses.y_aware import YAware

__all__ = [
    "OBJECTIVES",
    "Batch",
    "Objective",
    "TrainingScores",
    "build_objective",
    "register",
    "require_known",
    "total_loss",
]

OBJECTIVES: dict[str, type[Objective]] = {
    cls.name: cls
    for cls in (Mse, Contrastive, RankNContrast, YAware, ExpW, AdaCon, LogRatio, SupCon, Siamese)
}
"""Every objective by its name."""


def register(cls: type[Objective]) -> type[Objective]:
    """Add an objective of one's own; usable as a decorator.

    Raises:
        UserError: it is no objective, or another objective has its name.
    """
    if not (isinstance(cls, type) and issubclass(cls, Objective) and hasattr(cls, "name")):
        raise UserError(f"{cls!r} is no objective: derive a class from Objective and give it a name")
    if OBJECTIVES.setdefault(cls.name, cls) is not cls:
        raise UserError(f"an objective named {cls.name!r} exists already; choose another name")
    return cls


def build_objective(config: ObjectiveConfig, training: TrainingScores) -> Objective:
    """The objective that ``config.name`` selects.

    Raises:
        UserError: there is none of this name.
    """
    require_known(config.name)
    return OBJECTIVES[config.name](config, training)


def require_known(name: str) -> None:
    """Raises UserError where no objective has this name."""
    if name not in OBJECTIVES:
        raise UserError(f"objective.name is {name!r}; known: {', '.join(sorted(OBJECTIVES))}")


def total_loss(
    objective: Objective, batch: Batch, config: ObjectiveConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """``regression_weight * MSE + contrastive_weight * objective`` over the global batch.

    Returns:
        the loss to differentiate, and for the record ``loss``, ``mse`` and ``contrastive``, unweighted and
        detached.
    """
    wide = batch.widened()
    with torch.autocast(wide.embeddings.device.type, enabled=False):
        mse = F.mse_loss(wide.predictions, wide.scores)
    contrastive = objective(batch)
    loss = config.regression_weight * mse + config.contrastive_weight * contrastive
    return loss, {"loss": loss.detach(), "mse": mse.detach(), "contrastive": contrastive.detach()}
