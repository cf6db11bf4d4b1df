"""AdaCon: supervised contrast whose negatives must be the farther, the farther their rank."""

from __future__ import annotations

import torch
from torch import Tensor

from learner_ray.losses.base import Batch, Loss, TrainingScores
from learner_ray.losses.configs import AdaConConfig
from learner_ray.losses.pairwise import (
    cosine,
    masked_logsumexp,
    score_distance,
    soft_cross_entropy,
    uniform_targets,
)

LARGEST_MARGIN = 2.0
"""The range of a cosine: no larger margin can be met."""


class AdaCon(Loss):
    """Supervised contrast with a margin added to the similarity of each negative.

    ``mean over anchors i of  -1/|P(i)| sum_{p in P(i)} log( exp(g cos_ip) / Z_i ),
    Z_i = sum_{a != i} exp(g (cos_ia + m_ia))``

    with ``m_ia = 2 |F(y_i) - F(y_a)|`` for a negative, which never exceeds 2, and zero for a positive. F is
    the share of training scores below y, ties counted half; positives differ by at most ``threshold``
    in score. p and a run over the scans of other patients (``loss.pairs``).

    Defaults: g = 1/``temperature`` 150, ``threshold`` 0.5 training SDs. The authors add it to the MSE with
    a weight of 0.75, which is ``contrastive_weight`` here.

    Source: Dai et al. 2021, doi 10.1109/TMI.2021.3137854; positives by a threshold are ours. On one view of
    every scan, as here, value and gradient are those of the authors' code; the authors train on two views.
    """

    name = "adacon"
    Config = AdaConConfig
    config: AdaConConfig

    def __init__(self, config: AdaConConfig, training: TrainingScores) -> None:
        super().__init__(config, training)
        self.sorted_scores = training.scores.sort().values

    def compute(self, batch: Batch) -> Tensor:
        mask = self.pairs(batch)
        similarity = cosine(batch.embeddings)
        positive = mask & (score_distance(batch.scores) <= self.config.threshold)
        margin = LARGEST_MARGIN * score_distance(self.rank(batch.scores)).masked_fill(positive, 0)
        targets = uniform_targets(positive, similarity)
        normaliser = masked_logsumexp((similarity + margin) / self.temperature, mask)
        return soft_cross_entropy(similarity / self.temperature, targets, normaliser)

    def rank(self, scores: Tensor) -> Tensor:
        """The share of training scores below each of some scores: (B,) -> (B,), in 0..1; F above."""
        known = self.sorted_scores.to(scores.dtype)
        below = torch.searchsorted(known, scores)
        up_to = torch.searchsorted(known, scores, right=True)
        return (below + up_to).to(scores.dtype) / (2 * max(len(known), 1))
