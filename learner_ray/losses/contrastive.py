"""The paper's contrastive term between patients, plain and weighted: our reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from learner_ray.losses.base import Batch, Loss, TrainingScores
from learner_ray.losses.configs import ContrastiveConfig
from learner_ray.losses.pairwise import cosine, masked_mean, score_distance, select_pairs


class Contrastive(Loss):
    """Scans of like score attract each other, the others repel up to a cosine margin.

    ``mean over pairs i < j of  pos_ij (1 - cos_ij) + neg_ij w_ij max(0, cos_ij - (1 - m))``

    with pos: ``|y_i - y_j| <= tau`` and neg: otherwise. ``w = 1``, or if ``weighted``
    ``w_ij = |y_i - y_j| / (its mean over the negative pairs of the training set)``, so that the mean
    weight is one and weighting is not confounded with the weight of the term.

    Defaults: m ``margin`` 0.2, tau ``threshold`` 0.5 training SDs, pairs of different patients.

    Source: LEARNER (arXiv 2411.01144), arms `MSE + Contrastive Loss` and `MSE + Weighted Contrastive Loss`.
    The paper's public text gives no equation: everything but "pairs of different patients" and "weighted
    by the difference of the scores" is our own choice.
    """

    name = "contrastive"
    Config = ContrastiveConfig
    config: ContrastiveConfig

    def __init__(self, config: ContrastiveConfig, training: TrainingScores) -> None:
        super().__init__(config, training)
        self.mean_distance = mean_negative_distance(config, training) if config.weighted else 1.0

    def compute(self, batch: Batch) -> Tensor:
        similarity = cosine(batch.embeddings)
        distance = score_distance(batch.scores)
        weight = distance / self.mean_distance if self.config.weighted else 1.0
        attraction = 1 - similarity
        repulsion = weight * F.relu(similarity - (1 - self.config.margin))
        terms = torch.where(distance <= self.config.threshold, attraction, repulsion)
        return masked_mean(terms, self.pairs(batch))


def mean_negative_distance(config: ContrastiveConfig, training: TrainingScores) -> float:
    """Mean |y_i - y_j| over the training set's negative pairs, one where there are none.

    Row by row in blocks, so that memory stays linear in the number of scans.
    """
    scores, patients = training.scores.double(), training.patients
    total, count = 0.0, 0
    for start in range(0, len(scores), 256):
        block = slice(start, start + 256)
        distance = (scores[block, None] - scores).abs()
        negative = (distance > config.threshold) & select_pairs(config, patients[block, None], patients)
        total += float(distance[negative].sum())
        count += int(negative.sum())
    return total / count if count else 1.0
