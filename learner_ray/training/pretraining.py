"""The pretraining loop of one run, an epoch at a time, on one device or as one of several ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learner_ray.core.config import Config, TrainConfig
from learner_ray.core.seeding import random_key
from learner_ray.encoders.network import RANDOM, Network, Output, build_network
from learner_ray.losses import Batch, TrainingScores, build_loss, total_loss
from learner_ray.training.data import Data
from learner_ray.training.distributed import World
from learner_ray.training.finetuning import finetune
from learner_ray.training.precision import autocast, weight_format
from learner_ray.training.progression import Embedded, Progression
from learner_ray.training.tensors import UnreadableError, read_tensors, write_tensors


class DivergedError(Exception):
    """The loss became infinite or not a number."""


@dataclass(frozen=True)
class ScoreScale:
    """Mean and SD of the scores that an encoder was trained on, since it predicts standardised ones."""

    mean: float
    """Mean, in the score's unit."""
    sd: float
    """SD, in the score's unit; 1 where all scores are equal."""

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> ScoreScale:
        """The scale of scores (N,); mean 0 and SD 1 where there are none."""
        return cls(float(scores.mean()), float(scores.std()) or 1.0) if len(scores) else cls(0.0, 1.0)

    def embedded(
        self, scans: Iterable[str], embeddings: NDArray[Any], standardised: NDArray[Any]
    ) -> Embedded:
        """Embeddings (N, D) and standardised scores (N,) by scan id, the scores in their own unit."""
        predictions = (standardised * self.sd + self.mean).tolist()
        return Embedded(dict(zip(scans, embeddings, strict=True)), dict(zip(scans, predictions, strict=True)))


def untrained_network(config: Config, device: str) -> Network:
    """A run's network before its first step, in the number format of its precision.

    Raises:
        UserError: the weights it starts from are missing or damaged.
    """
    network = build_network(config.encoder, config.data.frames, config.seed)
    return network.to(device, weight_format(config.train.precision))


@torch.inference_mode()
def encode(
    network: Network, data: Data, scans: list[str], config: Config, device: str, batch_size: int = 32
) -> Output:
    """The network's outputs for N scans without augmentation, in their order: embeddings (N, D), projections,
    and standardised scores (N,)."""
    network.eval()
    outputs = []
    for start in range(0, max(len(scans), 1), batch_size):
        batch = scans[start : start + batch_size]
        pixels = data.pixels(batch, config.data.frames, keys=None, device=device)
        with autocast(config.train.precision, device):
            outputs.append(network(pixels))
    return Output(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))


class Pretraining:
    """The encoder of one run with its optimiser.

    Every random draw is made from the configuration's seed, the epoch and the scan, so a run that stops after
    any epoch and goes on from its checkpoint ends in the same weights, bit for bit.

    In a world of several ranks all call the same methods in the same order; each is given the whole result.
    """

    def __init__(
        self,
        config: Config,
        data: Data,
        patients: tuple[str, ...],
        device: str = "cpu",
        world: World = World(),  # noqa: B008 (frozen)
    ) -> None:
        self.config = config
        self.world = world
        self.epoch = 0
        self._data = data
        self._device = device
        self._scans = data.of(patients)
        scores = self._scans["score"].to_numpy(float)
        self.score_scale = ScoreScale.of(scores)
        self.network = untrained_network(config, device)
        world.synchronise(self.network)
        if config.pretrains:
            self._prepare(scores)

    def _prepare(self, scores: NDArray[np.float64]) -> None:
        config = self.config
        if config.train.shuffle_scores:
            scores = _shuffled(scores, self._scans["patient"] + "\x1f" + self._scans["visit"], config.seed)
        self._scores = torch.from_numpy((scores - self.score_scale.mean) / self.score_scale.sd).float()
        self._patients = torch.from_numpy(np.unique(self._scans["patient"], return_inverse=True)[1])
        self._order = torch.tensor(self._scans["order"].tolist())
        self._loss = build_loss(config.loss, TrainingScores(self._scores, self._patients))
        self._optimizer = _optimizer(self.network, config.train)
        self._steps_per_epoch = math.ceil(len(self._scans) / config.train.batch_size)

    @property
    def last_epoch(self) -> int:
        """The epoch after which the run ends."""
        return (self.config.train.stop_epoch or self.config.train.epochs) if self.config.pretrains else 0

    def run_epoch(self) -> dict[str, float]:
        """Trains one epoch and returns the means of the loss and its parts over its scans.

        Raises:
            DivergedError: the loss became infinite or not a number.
        """
        sums: dict[str, float] = {}
        for scans, parts in self.steps():
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value * scans
        self.epoch += 1
        lr = self._optimizer.param_groups[0]["lr"]
        return {name: total / len(self._scans) for name, total in sums.items()} | {"lr": lr}

    def steps(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains the steps of an epoch and yields, for each, its number of scans, and the loss and its
        parts."""
        self.network.train()
        with RANDOM:  # for encoders with dropout
            torch.manual_seed(random_key(self.config.seed, self.epoch))
        for step, rows in enumerate(self._batches()):
            self._set_lr(self.epoch * self._steps_per_epoch + step)
            yield len(rows), self._step(rows)
            self._optimizer.zero_grad()  # now: the next forward pass needs the memory

    def _batches(self) -> list[NDArray[np.int64]]:
        """The epoch's scans in batches of nearly equal size, so that none is left with a scan or two."""
        rng = np.random.default_rng(random_key(self.config.seed, "batches", self.epoch))
        n = len(self._scans)
        if self.config.train.balance == "score":
            return _score_balanced(self._scores.numpy(), self._steps_per_epoch, rng)
        return np.array_split(rng.permutation(n), self._steps_per_epoch)

    def _step(self, rows: NDArray[np.int64]) -> dict[str, float]:
        batch = self._batch(rows)
        loss, parts = total_loss(self._loss, batch, self.config.loss)
        if not torch.isfinite(loss):
            raise DivergedError(f"the loss is {loss.item()} in epoch {self.epoch + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        self.world.sum_gradients(self.network.parameters())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.train.clip)
        self._optimizer.step()
        return {name: float(part) for name, part in parts.items()} | {"gradient_norm": float(norm)}

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        """The network's outputs for all rows; each rank computes its share of them."""
        views, shares = self._loss.views, self.world.shares(rows)
        scans = self._scans["scan"].iloc[shares[self.world.rank]].tolist()
        pixels = torch.cat([self._view(scans, view) for view in range(views)])
        with autocast(self.config.train.precision, self._device):
            output = self.network(pixels)
        lengths = [views * len(share) for share in shares]
        # Scores and patients need no gathering: every rank knows the whole order of the scans.
        index = torch.from_numpy(np.concatenate([np.tile(share, views) for share in shares]))
        return Batch(
            embeddings=self.world.gather(output.projection, lengths),
            scores=self._scores[index].to(self._device),
            patients=self._patients[index].to(self._device),
            scans=index.to(self._device),
            predictions=self.world.gather(output.score, lengths),
            order=self._order[index].to(self._device),
        )

    def _view(self, scans: list[str], view: int) -> Tensor:
        keys = [random_key(self.config.seed, self.epoch, view, scan) for scan in scans]
        data = self.config.data
        return self._data.pixels(scans, data.frames, keys=keys, strength=data.augment, device=self._device)

    def _set_lr(self, step: int) -> None:
        """Linear warm-up, then a cosine to zero at the end of the whole schedule."""
        train = self.config.train
        steps = train.epochs * self._steps_per_epoch
        warmup = train.warmup * steps
        if step < warmup:
            factor = (step + 1) / warmup if warmup > 1 else 1.0
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        for group in self._optimizer.param_groups:
            group["lr"] = train.lr * min(factor, 1.0)

    @torch.inference_mode()
    def embed(self, patients: tuple[str, ...], batch_size: int = 32) -> Embedded:
        """Embeddings (D,) and predicted scores of all scans of some patients, in the cohort's order."""
        scans = self._data.of(patients)["scan"].to_numpy()
        shares = self.world.shares(np.arange(len(scans)))
        own = scans[shares[self.world.rank]].tolist()
        output = encode(self.network, self._data, own, self.config, self._device, batch_size)
        lengths = [len(share) for share in shares]
        embeddings = self.world.gather(output.embedding, lengths).cpu().numpy()
        standardised = self.world.gather(output.score, lengths).cpu().numpy()
        return self.score_scale.embedded(scans, embeddings, standardised)

    def finetune(self, progression: Progression, pairs: pd.DataFrame) -> Progression:
        """Trains encoder and classifier end to end on some pairs, see :func:`finetuning.finetune`.

        Every rank does the whole of it, since it is short; the first one's weights are taken.

        Raises:
            DivergedError: the loss became infinite or not a number.
        """
        try:
            tuned = finetune(self.network, progression, pairs, self._data, self.config, self._device)
        except FloatingPointError as error:
            raise DivergedError(str(error)) from error
        self.world.share_first(self.network)
        return tuned

    def save(self, path: Path, run_hash: str) -> None:
        """Writes network, optimiser and epoch of a run, whole or not at all."""
        state = {
            "run_hash": run_hash,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "epoch": self.epoch,
        }
        write_tensors(state, path)

    def restore(self, content: bytes, run_hash: str, epochs: int) -> None:
        """Continues from a checkpoint that ``save`` wrote.

        Args:
            content: the bytes of the file.
            run_hash: hash of this run.
            epochs: number of epochs in the run's ``progress.jsonl``.

        Raises:
            UnreadableError: the checkpoint is damaged or of another run; nothing was changed here.
        """
        state = read_tensors(content)
        own = {name: tensor.shape for name, tensor in self.network.state_dict().items()}
        # Older versions did not write whose it is.
        if not isinstance(state, dict) or state.get("run_hash", run_hash) != run_hash:
            raise UnreadableError("it is of another run")
        if {"optimizer", "epoch"} - state.keys() or _shapes(state.get("network")) != own:
            raise UnreadableError("it is of another run")
        if state["epoch"] > epochs:
            raise UnreadableError("progress.jsonl ends before its epoch")
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


def _shapes(state: Any) -> dict[str, torch.Size]:
    tensors = state if isinstance(state, dict) else {}
    return {name: tensor.shape for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def _optimizer(network: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """Weight decay falls on weights alone, not on biases and normalisation."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.lr, fused=True)
    return torch.optim.SGD(groups, lr=train.lr, momentum=0.9, fused=True)


def _shuffled(scores: NDArray[np.float64], visits: Any, seed: int) -> NDArray[np.float64]:
    """Scores permuted over visits; the scans of one visit keep sharing one."""
    names, first, index = np.unique(visits.to_numpy(), return_index=True, return_inverse=True)
    order = np.random.default_rng(random_key(seed, "shuffled scores")).permutation(len(names))
    return np.asarray(scores[first][order][index])


def _score_balanced(
    scores: NDArray[Any], steps: int, rng: np.random.Generator, bins: int = 8
) -> list[NDArray[np.int64]]:
    """Batches that draw as many scans from each score octile of *distinct* scores; rare scores repeat."""
    size = math.ceil(len(scores) / steps)
    edges = np.quantile(np.unique(scores), np.linspace(0, 1, bins + 1)[1:-1])
    which = np.digitize(scores, edges)
    weights = 1 / np.bincount(which)[which]
    return [rng.choice(len(scores), size, replace=False, p=weights / weights.sum()) for _ in range(steps)]
