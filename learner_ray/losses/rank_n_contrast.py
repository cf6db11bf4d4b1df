"""Rank-N-Contrast: the nearer in score, the nearer in embedding, for every ranking in the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from learner_ray.losses.base import Batch, Loss
from learner_ray.losses.configs import RankNContrastConfig
from learner_ray.losses.pairwise import euclidean, masked_mean, score_distance

TIE = 1e-5
"""Score distances that differ by less, in training SDs, are equal: standardising a whole-number score
leaves rounding noise that would otherwise order its ties at random."""


class RankNContrast(Loss):
    """Each pair competes with all pairs of its anchor that lie at least as far apart in score.

    ``mean over pairs i != j of  -log( exp(s_ij) / sum_{k: |y_i - y_k| >= |y_i - y_j|} exp(s_ik) )``

    with ``s_ij = -||u_i - u_j|| / t`` of embeddings that are not normalised. Pairs are those of different
    patients (``loss.pairs``) and the two views of a scan, as candidates j and as competitors k alike.
    Sorting each row once makes it O(B^2 log B) in time and O(B^2) in memory.

    Defaults: t ``temperature`` 2, two views.

    Source: Zha et al. 2023, arXiv 2210.01189, equation 1; the public code's mean over pairs.
    """

    name = "rank_n_contrast"
    Config = RankNContrastConfig
    config: RankNContrastConfig
    views = 2

    def compute(self, batch: Batch) -> Tensor:
        mask = self.pairs(batch, views=True)
        similarity = -euclidean(batch.embeddings) / self.temperature
        # Pairs that do not count go last, where no sum of an earlier pair reaches them.
        nearness = -score_distance(batch.scores).masked_fill(~mask, -torch.inf)
        ascending, order = nearness.sort(1)
        sums = similarity.gather(1, order).logcumsumexp(1)
        last_competitor = torch.searchsorted(ascending, nearness + TIE, right=True) - 1
        normaliser = sums.gather(1, last_competitor)
        return masked_mean(normaliser - similarity, mask)
