"""Supervised contrast with bins of the score for classes."""

from __future__ import annotations

import torch
from torch import Tensor

from learner_ray.losses.base import Batch, Loss, TrainingScores
from learner_ray.losses.configs import SupConConfig
from learner_ray.losses.pairwise import cosine, masked_logsumexp, soft_cross_entropy, uniform_targets


class SupCon(Loss):
    """Scans whose scores lie in one bin attract each other.

    ``mean over anchors i of  -1/|P(i)| sum_{p in P(i)} log( exp(s_ip) / sum_{a != i} exp(s_ia) )``

    with ``s_ij = cos_ij / t`` and P(i) the scans of i's bin; an anchor without any is left out. p and a run
    over the scans of other patients (``loss.pairs``) and the other view of the anchor's scan. The bins
    are cut at quantiles of the training scores.

    Defaults: t ``temperature`` 0.07, ``bins`` 5, two views.

    Source: Khosla et al. 2020, arXiv 2004.11362, equation 2 (L_out); the bins are ours.
    """

    name = "supcon"
    Config = SupConConfig
    config: SupConConfig
    views = 2

    def __init__(self, config: SupConConfig, training: TrainingScores) -> None:
        super().__init__(config, training)
        levels = torch.arange(1, config.bins, dtype=torch.float64) / config.bins
        self.edges = training.scores.double().quantile(levels)

    def compute(self, batch: Batch) -> Tensor:
        mask = self.pairs(batch, views=True)
        logits = cosine(batch.embeddings) / self.temperature
        label = torch.bucketize(batch.scores, self.edges.to(batch.scores.dtype), right=True)
        targets = uniform_targets(mask & (label[:, None] == label), logits)
        return soft_cross_entropy(logits, targets, masked_logsumexp(logits, mask))
