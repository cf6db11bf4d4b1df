"""How strongly the contrastive term pulls at the embedding, and the factor that makes losses equal in it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from learner_ray.core.config import LossConfig
from learner_ray.losses.total import Terms

DECAY = 0.9
"""What a step leaves of the running means of the gradients: they look back some ten steps. An epoch of a
small cohort has no more, and within a few epochs the ratio of raw gradients grows threefold."""
LARGEST = 1e4
"""The most that the contrastive term is multiplied by, before its weight. Measured factors lie between 0.03
and 250; a term that is fulfilled but for rounding would otherwise be noise as strong as the regression."""


class Weighting:
    """The factor of the contrastive term in the loss of each step.

    With raw weights it is ``contrastive_weight``. With balanced ones it is

    ``contrastive_weight * regression_weight * mean |g_regression| / mean |g_contrastive|``

    with g the gradient of each term at the embeddings of the global batch, its length |g|, and means that
    forget earlier steps (``DECAY``). So the weight is the ratio of the two gradients for every loss,
    temperature and scale of the embeddings. The factor is a constant to the backward pass.

    A step in which a term has no gradient, such as a batch without a pair, leaves that term's mean as it is:
    counting it as zero would make the next step with a pair so much stronger. Until both terms have had a
    gradient the factor is zero.

    Nothing is read by the host, and all tensors stay where they are, as a CUDA graph wants it.

    Args:
        config: the weights, and whether they are balanced.
        device: where the gradients lie.
    """

    def __init__(self, config: LossConfig, device: torch.device | str) -> None:
        self.config = config
        self.balanced = config.weighting == "balanced"
        # Made here: a step that made it from a number of the host could not be part of a CUDA graph.
        self._weight = torch.tensor(config.contrastive_weight, dtype=torch.float64, device=device)
        # Sums that forget, and the same sums of ones: their quotient is a mean from the first step on.
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._counts = torch.zeros(2, dtype=torch.float64, device=device)

    def total(self, terms: Terms, norms: Tensor) -> tuple[Tensor, Tensor]:
        """The scalar loss () to differentiate, and the record of its gradients.

        Args:
            terms: the regression and the contrastive term, scalars.
            norms: float64 (2,), lengths of their gradients at the embeddings of the global batch.

        Returns:
            the loss (); and float64 (3,): the length of the weighted regression's gradient, that of the
            weighted contrastive term's, and the factor of the latter.
        """
        config = self.config
        regression = config.regression_weight * terms.regression
        if self.balanced:
            factor = self._balanced_factor(norms)
            total = regression + factor * terms.contrastive
        else:  # a number, not the tensor of it: that would be rounded otherwise
            factor = self._weight
            total = regression + config.contrastive_weight * terms.contrastive
        return total, torch.stack([config.regression_weight * norms[0], factor * norms[1], factor])

    @torch.no_grad()
    def _balanced_factor(self, norms: Tensor) -> Tensor:
        """What the contrastive term is multiplied by in this step, a scalar; takes the gradients in."""
        seen = norms > 0
        share = seen.to(norms.dtype) * (1 - DECAY)
        self._sums.mul_(1 - share).add_(share * norms.masked_fill(~seen, 0))
        self._counts.mul_(1 - share).add_(share)
        regression, contrastive = (self._sums / self._counts.clamp(min=1 - DECAY)).unbind()
        ratio = (regression / contrastive).masked_fill(contrastive == 0, 0).clamp(max=LARGEST)
        return self._weight * self.config.regression_weight * ratio

    def state_dict(self) -> dict[str, Tensor]:
        """The running means, for a checkpoint: two tensors (2,); empty with raw weights, which have none."""
        return {"sums": self._sums, "counts": self._counts} if self.balanced else {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes over the running means of a checkpoint, two tensors (2,).

        Raises:
            KeyError: it has none.
        """
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])
