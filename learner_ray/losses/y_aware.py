"""y-aware contrast: a softmax over pairs whose targets are a kernel of the score difference."""

from __future__ import annotations

from torch import Tensor

from learner_ray.losses.base import Batch, Loss
from learner_ray.losses.configs import YAwareConfig
from learner_ray.losses.pairwise import (
    cosine,
    kernel_targets,
    masked_logsumexp,
    score_distance,
    soft_cross_entropy,
)


class YAware(Loss):
    """Every pair attracts, by how alike its scores are.

    ``mean over anchors i of  -sum_j (w_ij / sum_k w_ik) log( exp(s_ij) / sum_k exp(s_ik) )``

    with ``s_ij = cos_ij / t`` and ``w_ij = exp(-(y_i - y_j)^2 / 2 sigma^2)``. j and k run over the scans of
    other patients (``loss.pairs``) and the other view of the anchor's scan. Anchors are all views of
    the batch, where the original takes the first view against the second.

    Defaults: t ``temperature`` 0.1, sigma ``bandwidth`` 1 training SD, two views.

    Source: Dufumier et al. 2021, arXiv 2106.08808, equation 1. The value follows the paper. The authors' code
    differs: it divides the sum over the 2 N views by N, which is a factor of 2, and its weights by the sum
    of their column, where the paper divides by that of their row.
    """

    name = "y_aware"
    Config = YAwareConfig
    config: YAwareConfig
    views = 2

    def compute(self, batch: Batch) -> Tensor:
        mask = self.pairs(batch, views=True)
        logits = cosine(batch.embeddings) / self.temperature
        targets = kernel_targets(score_distance(batch.scores), self.config.bandwidth, mask)
        return soft_cross_entropy(logits, targets, masked_logsumexp(logits, mask))
