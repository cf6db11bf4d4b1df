"""No contrast between patients: the change of one patient, learnt end to end."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from learner_ray.core.errors import UserError
from learner_ray.losses.base import Batch, Loss, TrainingScores
from learner_ray.losses.configs import SiameseConfig
from learner_ray.losses.pairwise import masked_mean

ROUNDING = 1e-5
"""By how much, in training SDs, a change may miss the boundary: in float32 a change of exactly the cohort's
threshold, which counts, may come out a little smaller."""


class Siamese(Loss):
    """Worse / same / better of two visits from the difference of their embeddings, antisymmetrically.

    ``mean over pairs of visits of  -log P(class),   s = w.(u_later - u_earlier),``
    ``P(better) = sigma((s - theta) / t),  P(worse) = sigma((-s - theta) / t),  P(same) = the rest``

    The score head gives w: s is the difference of the predicted scores, in which the head's bias cancels,
    so that exchanging the visits exchanges worse and better. A bias-free three-way softmax could never
    say "same"; the two cut-points can. The class of a pair is that of its scores: worse or better from a
    change of theta on. Pairs are all visits of one patient in the batch; ``loss.pairs`` is not used. With
    ``train.balance=patient`` every batch has some.

    Defaults: theta ``boundary`` 1, which is the cohort's own change threshold, so that the classes are those
    of the progression pairs; t ``temperature`` 0.4, a logistic noise of the change that fits scores of
    reliability 0.75. Neither is learnt: s is in the units of the score. Where ``boundary`` is 0, theta is
    ``threshold`` training SDs, as it was before ``boundary`` came.

    Source: after LILAC (Kim et al. 2025, PNAS); the cut-points are ours.

    Raises:
        UserError: theta is zero, where "same" would be impossible.
    """

    name = "siamese"
    Config = SiameseConfig
    config: SiameseConfig
    own_pairs = "of visits of one patient"

    def __init__(self, config: SiameseConfig, training: TrainingScores) -> None:
        super().__init__(config, training)
        if config.boundary:
            self.theta = config.boundary * training.change_threshold
            self.least_change = max(self.theta - ROUNDING, 0.0)
        elif config.threshold:
            self.theta = self.least_change = config.threshold
        else:
            raise UserError("loss.boundary, or else loss.threshold, must be positive for the siamese loss")

    def compute(self, batch: Batch) -> Tensor:
        theta = self.theta
        change = batch.scores - batch.scores[:, None]
        predicted = batch.predictions - batch.predictions[:, None]
        better = F.logsigmoid((predicted - theta) / self.temperature)
        worse = F.logsigmoid((-predicted - theta) / self.temperature)
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)), which keeps its digits in the tails.
        same = (
            F.logsigmoid((theta - predicted) / self.temperature)
            + F.logsigmoid((theta + predicted) / self.temperature)
            + math.log(-math.expm1(-2 * theta / self.temperature))
        )
        changed = torch.where(change > self.least_change, better, same)
        log_probability = torch.where(change < -self.least_change, worse, changed)
        earlier = batch.order[:, None] < batch.order
        return -masked_mean(log_probability, earlier & (batch.patients[:, None] == batch.patients))
