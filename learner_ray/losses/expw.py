"""L^exp: y-aware contrast that repels a scan the less, the more alike its score is."""

from __future__ import annotations

from torch import Tensor

from learner_ray.losses.base import Batch, Loss
from learner_ray.losses.configs import ExpWConfig
from learner_ray.losses.pairwise import (
    cosine,
    gaussian_kernel,
    kernel_targets,
    masked_logsumexp,
    score_distance,
    soft_cross_entropy,
)


class ExpW(Loss):
    """Attraction by the kernel, repulsion by one minus the kernel.

    ``mean over anchors i of  -sum_k (w_k / sum_t w_t) [ s_k - log sum_{t != i} exp(s_t (1 - w_t)) ]``

    with ``s_k = cos_ik / t`` and ``w_k = exp(-(y_i - y_k)^2 / 2 sigma^2)``. k and t run over the scans of
    other patients (``loss.pairs``) and the other view of the anchor's scan. The value follows this
    formula; the authors' code subtracts each row's maximum from s before the factor 1 - w, which
    changes it.

    Defaults: t ``temperature`` 0.1, sigma ``bandwidth`` 1 training SD, two views.

    Source: Barbano et al. 2023, arXiv 2211.08326, the loss "L^exp".
    """

    name = "expw"
    Config = ExpWConfig
    config: ExpWConfig
    views = 2

    def compute(self, batch: Batch) -> Tensor:
        mask = self.pairs(batch, views=True)
        distance = score_distance(batch.scores)
        logits = cosine(batch.embeddings) / self.temperature
        repulsion = logits * (1 - gaussian_kernel(distance, self.config.bandwidth))
        targets = kernel_targets(distance, self.config.bandwidth, mask)
        return soft_cross_entropy(logits, targets, masked_logsumexp(repulsion, mask))
