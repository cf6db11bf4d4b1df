from dataclasses import dataclass

import torch
from torch import Tensor

from learner_ray.core.sections import LossConfig, require
from learner_ray.losses import Batch, Loss


class Spread(Loss):
    """Embeddings of two scans lie as far apart as a power of the difference of their scores says."""

    name = "spread"

    @dataclass(frozen=True, kw_only=True)
    class Config(LossConfig):
        power: float = 1.0
        """Exponent of the difference of two scores."""

        def __post_init__(self) -> None:
            super().__post_init__()
            require(self.power > 0, "loss.power must be positive")

    config: Config

    def compute(self, batch: Batch) -> Tensor:
        apart = torch.cdist(batch.embeddings, batch.embeddings)
        wanted = (batch.scores[:, None] - batch.scores).abs() ** self.config.power
        chosen = self.pairs(batch)
        return ((apart - wanted) ** 2 * chosen).sum() / chosen.sum().clamp(min=1)
