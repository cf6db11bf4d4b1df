"""End-to-end fine-tuning: the encoder and its progression classifier trained together on pairs of visits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from learner_ray.core.config import Config
from learner_ray.core.seeding import random_key
from learner_ray.encoders.network import Network
from learner_ray.training.classifiers import LogisticClassifier, OrdinalClassifier, Scaler
from learner_ray.training.data import Data
from learner_ray.training.precision import autocast
from learner_ray.training.progression import Progression, clip_pairs, fitted_classes

CLIP = 1.0
"""Largest norm of the gradient; a longer one is shortened to it."""


class Scaled(nn.Module):
    """A fitted ``Scaler``: blocks (N, D) to one standardised matrix."""

    mean: Tensor
    """(D,) means of all blocks."""
    length: Tensor
    """(D,) lengths of all blocks."""

    def __init__(self, scaler: Scaler) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(np.concatenate(scaler.means)))
        lengths = [np.full(len(m), length) for m, length in zip(scaler.means, scaler.lengths, strict=True)]
        self.register_buffer("length", torch.tensor(np.concatenate(lengths)))

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        """The scaled blocks side by side, (N, D)."""
        return (torch.cat(list(blocks), 1).double() - self.mean) / self.length


class LogisticHead(nn.Module):
    """A fitted multinomial logistic classifier as a module; it starts where the fit ended."""

    def __init__(self, fitted: LogisticClassifier) -> None:
        super().__init__()
        self._fitted = fitted
        self.scaled = Scaled(fitted.scale)
        w, b = fitted.model.coef_, fitted.model.intercept_
        if len(w) == 1:  # of two classes sklearn keeps the second one's logit
            w, b = np.concatenate([0 * w, w]), np.concatenate([0 * b, b])
        self.weight, self.bias = nn.Parameter(torch.tensor(w)), nn.Parameter(torch.tensor(b))

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        """Log-probabilities (N, 3); -inf for a class that the fit has not seen."""
        known = F.log_softmax(F.linear(self.scaled(blocks), self.weight, self.bias), 1)
        full = known.new_full((len(known), 3), -math.inf)
        full[:, self._fitted.model.classes_] = known
        return full

    def classifier(self) -> LogisticClassifier:
        """The classifier with the module's present weights."""
        w, b = self.weight.detach().cpu().numpy(), self.bias.detach().cpu().numpy()
        if len(w) == 2:
            w, b = w[1:] - w[:1], b[1:] - b[:1]
        model = LogisticRegression()
        model.coef_, model.intercept_, model.classes_ = w, b, self._fitted.model.classes_
        return LogisticClassifier(self._fitted.scale, model)


class OrdinalHead(nn.Module):
    """A fitted antisymmetric ordinal classifier as a module; it starts where the fit ended."""

    def __init__(self, fitted: OrdinalClassifier) -> None:
        super().__init__()
        self._fitted = fitted
        self.scaled = Scaled(fitted.scale)
        self.weight = nn.Parameter(torch.tensor(fitted.parameters[:-1]))
        self.log_theta = nn.Parameter(torch.tensor(fitted.parameters[-1]))

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        """Log-probabilities (N, 3)."""
        s, theta = self.scaled(blocks) @ self.weight, self.log_theta.exp()
        same = (torch.sigmoid(theta - s) - torch.sigmoid(-theta - s)).clamp_min(1e-12)
        return torch.stack([F.logsigmoid(-theta - s), same.log(), F.logsigmoid(s - theta)], 1)

    def classifier(self) -> OrdinalClassifier:
        """The classifier with the module's present weights."""
        w, theta = self.weight.detach().cpu().numpy(), float(self.log_theta.detach())
        return OrdinalClassifier(self._fitted.scale, np.append(w, theta))


def head_of(progression: Progression) -> LogisticHead | OrdinalHead | None:
    """The classifier as a module; None where only class shares could be fitted."""
    fitted = progression.classifier
    if isinstance(fitted, LogisticClassifier):
        return LogisticHead(fitted)
    return OrdinalHead(fitted) if isinstance(fitted, OrdinalClassifier) else None


def finetune(
    network: Network,
    progression: Progression,
    pairs: pd.DataFrame,
    data: Data,
    config: Config,
    device: str = "cpu",
) -> Progression:
    """Trains the encoder and the classifier on the pairs that the classifier was fitted on.

    Both start from where pretraining and fit ended. AdamW with a cosine over ``progression.finetune_epochs``,
    batch normalisation with the statistics of pretraining (a batch of a few pairs has none of its own), the
    log-likelihood weighted so that a visit pair counts once, and the classifier's ridge penalty.

    Args:
        network: the pretrained network; it is changed in place.
        progression: the classifier as fitted on the pairs.
        pairs: the visit pairs that it was fitted on.
        data: the scans of these pairs.
        config: the run's configuration.
        device: where to train.

    Returns:
        The progression with the trained classifier.

    Raises:
        FloatingPointError: the loss became infinite or not a number.
    """
    head = head_of(progression)
    if head is None:
        return progression
    head.to(device)
    clips = clip_pairs(pairs, data.of(tuple(pairs["patient"].unique())))
    index = clips["index"].to_numpy()
    y = fitted_classes(config.progression, pairs, config.seed)[index]
    weights = 1 / np.bincount(index)[index]
    settings = config.progression
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    groups = [{"params": encoder, "weight_decay": config.train.weight_decay},
              {"params": list(head.parameters()), "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=settings.finetune_lr)
    steps = math.ceil(len(clips) / config.train.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * settings.finetune_epochs)
    network.eval()
    for epoch in range(settings.finetune_epochs):
        rng = np.random.default_rng(random_key(config.seed, "finetune", epoch))
        for rows in np.array_split(rng.permutation(len(clips)), steps):
            batch = clips.iloc[rows]
            log_p = head(_blocks(network, batch, data, config, epoch, device))
            optimizer.zero_grad(set_to_none=True)
            loss = _loss(log_p, y[rows], weights[rows]) + _ridge(head, settings.l2, len(pairs))
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss.item()} in epoch {epoch + 1} of the fine-tuning")
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([*encoder, *head.parameters()], CLIP)
            optimizer.step()
            schedule.step()
    return replace(progression, classifier=head.classifier())


def _loss(log_p: Tensor, y: NDArray[np.int64], weights: NDArray[np.float64]) -> Tensor:
    """Weighted mean of the negative log-likelihood."""
    w = torch.from_numpy(weights).to(log_p)
    likelihood = log_p.gather(1, torch.from_numpy(y).to(log_p.device)[:, None]).squeeze(1)
    return -(w * likelihood).sum() / w.sum()


def _ridge(head: LogisticHead | OrdinalHead, l2: float, pairs: int) -> Tensor:
    """The classifier's penalty per pair: its fit sums over pairs, a batch is a mean."""
    return 0.5 * l2 * head.weight.square().sum() / pairs


def _blocks(
    network: Network, clips: pd.DataFrame, data: Data, config: Config, epoch: int, device: str
) -> list[Tensor]:
    """The classifier's inputs of some clip pairs, with a graph; each scan is augmented on its own."""
    scans = [*clips["earlier"], *clips["later"]]
    keys = [random_key(config.seed, "finetune", epoch, scan) for scan in scans]
    strength = config.data.augment
    pixels = data.pixels(scans, config.data.frames, keys=keys, strength=strength, device=device)
    with autocast(config.train.precision, device):
        earlier, later = network(pixels).embedding.chunk(2)
    return [later - earlier] if config.progression.input == "difference" else [earlier, later - earlier]
