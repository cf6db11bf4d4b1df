"""Log-ratio: distances between embeddings in the proportions of the differences between scores."""

from __future__ import annotations

from torch import Tensor

from learner_ray.losses.base import Batch, Loss
from learner_ray.losses.pairwise import euclidean, score_distance

EPSILON = 1e-6
"""Added to a distance before its logarithm, as in the authors' code."""


class LogRatio(Loss):
    """For each anchor, embedding distances should be proportional to score differences.

    ``mean over triplets (a, i, j), i != j, of  ( log(D_ai / D_aj) - log(dy_ai / dy_aj) )^2``

    with D the Euclidean distance of embeddings that are not normalised, and dy the absolute difference of
    scores. i and j run over the scans of other patients (``loss.pairs``) with a score other than the
    anchor's, as log 0 has no ratio. With ``r = log D - log dy`` an anchor's n pairs contribute
    ``sum_{i != j} (r_i - r_j)^2 = 2 n sum_i (r_i - mean r)^2``, so that it takes O(B^2).

    Default: epsilon 1e-6. Not bounded in the scale of the embeddings: the ratio does not see it.

    Source: Kim et al. 2019, arXiv 1904.09626, equation 4 (there with squared distances on both sides,
    which is four times this value).
    """

    name = "log_ratio"

    def compute(self, batch: Batch) -> Tensor:
        distance = score_distance(batch.scores)
        mask = self.pairs(batch) & (distance > 0)
        count = mask.sum(1, keepdim=True)
        ratio = (euclidean(batch.embeddings) + EPSILON).log() - distance.where(mask, 1).log()
        mean = ratio.where(mask, 0).sum(1, keepdim=True) / count.clamp(min=1)
        squares = (ratio - mean).where(mask, 0).square().sum(1)
        triplets = (count * (count - 1)).sum()
        return (2 * count[:, 0] * squares).sum() / triplets.clamp(min=1)
