"""What several losses compute over the (B, B) pairs of a batch: masks, distances, softmax."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from learner_ray.core.config import LossConfig


def select_pairs(config: LossConfig, a: Tensor, b: Tensor) -> Tensor:
    """Whether pairs of patients count under ``config.pairs``: bool of the shape (a and b broadcast)."""
    same = a == b
    if config.pairs == "all":
        return torch.ones_like(same)
    return same if config.pairs == "within" else ~same


def cosine(embeddings: Tensor) -> Tensor:
    """(B, D) -> (B, B) cosine similarities; an embedding of zeros is orthogonal to all."""
    unit = F.normalize(embeddings, dim=1, eps=1e-8)
    return unit @ unit.T


def euclidean(embeddings: Tensor) -> Tensor:
    """(B, D) -> (B, B) distances, with zero gradient where two embeddings are equal.

    Not by way of the dot products: embeddings with a mean cosine of 0.99 would lose their digits.
    """
    return torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")


def score_distance(scores: Tensor) -> Tensor:
    """(B,) -> (B, B) absolute differences of the scores."""
    return (scores[:, None] - scores).abs()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean () of the values where the mask (of the same shape) holds; zero, with zero gradient, where it
    never does."""
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)


def gaussian_kernel(distance: Tensor, bandwidth: float) -> Tensor:
    """The kernel exp(-d^2 / 2 bandwidth^2) of distances; shape (as given)."""
    return (-(distance**2) / (2 * bandwidth**2)).exp()


def kernel_targets(distance: Tensor, bandwidth: float, mask: Tensor) -> Tensor:
    """Gaussian kernel weights (B, B) of the masked pairs; each row sums to one, an empty one to zero.

    Computed as a softmax of the exponents, since the weights of a remote anchor would all underflow.
    """
    exponents = _fill(-(distance**2) / (2 * bandwidth**2), mask)
    return exponents.softmax(1).where(mask, 0)


def uniform_targets(positive: Tensor, like: Tensor) -> Tensor:
    """Equal weights (B, B) on each row's positives; a row sums to one, an empty one to zero."""
    weights = positive.to(like.dtype)
    return weights / weights.sum(1, keepdim=True).clamp(min=1)


def masked_logsumexp(logits: Tensor, mask: Tensor) -> Tensor:
    """(B, B) -> (B,) over each row's masked entries; an empty row has a meaningless, finite value."""
    return _fill(logits, mask).logsumexp(1)


def soft_cross_entropy(logits: Tensor, targets: Tensor, normaliser: Tensor) -> Tensor:
    """Mean over anchors of ``normaliser_i - sum_j targets_ij logits_ij``.

    Anchors without targets (rows of zeros) are left out; zero if there is no anchor.
    """
    per_anchor = normaliser - (targets * logits).sum(1)
    return masked_mean(per_anchor, targets.sum(1) > 0)


def _fill(logits: Tensor, mask: Tensor) -> Tensor:
    # The lowest finite number and not -inf, so that an empty row has no NaN to hide behind a later mask.
    return logits.where(mask, torch.finfo(logits.dtype).min)
