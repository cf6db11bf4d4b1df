"""The trainer that ours is compared with, written as reference code is. Needs torch and this checkout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from learner_ray.core.config import Config
from learner_ray.encoders import resnet
from learner_ray.encoders.network import Network
from learner_ray.encoders.temporal_shift import shifted_channels
from learner_ray.losses import Batch, TrainingScores, build_loss, total_loss


class PlainTrainer:
    """Float32, NCHW, shift by concatenation; clips copied and the loss read at each step.

    Args:
        config: what is trained.
        scores: (N,) standardised scores of the scans.
        patients: int64 (N,).
        order: (N,) order of the visit within its patient.
        device: where.
    """

    def __init__(self, config: Config, scores: Tensor, patients: Tensor, order: Tensor, device: str) -> None:
        self._device, self._config = device, config
        self._scores, self._patients, self._order = (t.to(device) for t in (scores, patients, order))
        self._loss = build_loss(config.loss, TrainingScores(scores.cpu(), patients.cpu())).to(device)
        self._network = Network(config.encoder, config.data.frames).to(device).train()
        train = config.train
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=train.lr, weight_decay=train.weight_decay
        )

    def step(self, clips: Tensor, index: Tensor) -> None:
        """Trains float32 (B, T, H, W) in the host's memory, the scans ``index``, int64 (B,)."""
        index = index.to(self._device)
        with cat_shift():
            output = self._network(clips.to(self._device))
        batch = Batch(
            embeddings=output.projection,
            scores=self._scores[index],
            patients=self._patients[index],
            scans=index,
            predictions=output.score,
            order=self._order[index],
        )
        loss, _ = total_loss(self._loss, batch, self._config.loss)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), self._config.train.clip)
        self._optimizer.step()
        loss.item()  # as one that logs its loss does


@contextmanager
def cat_shift() -> Iterator[None]:
    """Within it the temporal shift is written as it usually is."""

    def shift(x: Tensor, frames: int, fraction: float) -> Tensor:
        fold = shifted_channels(x.shape[1], fraction)
        clips = x.view(-1, frames, *x.shape[1:])
        zero = torch.zeros_like(clips[:, :1])
        earlier = torch.cat([clips[:, 1:, :fold], zero[:, :, :fold]], dim=1)
        later = torch.cat([zero[:, :, :fold], clips[:, :-1, fold : 2 * fold]], dim=1)
        return torch.cat([earlier, later, clips[:, :, 2 * fold :]], dim=2).flatten(0, 1)

    own = resnet.temporal_shift
    resnet.temporal_shift = shift  # type: ignore[attr-defined]
    try:
        yield
    finally:
        resnet.temporal_shift = own  # type: ignore[attr-defined]
