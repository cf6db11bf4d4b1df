"""The pretraining loop of one run, an epoch at a time, on one device or as one of several ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner_ray.core.config import Config
from learner_ray.core.seeding import random_key
from learner_ray.encoders.network import RANDOM, Network, Output, build_network
from learner_ray.training.batches import balanced_by_score, paired_by_patient, shuffled
from learner_ray.training.data import Data
from learner_ray.training.distributed import World
from learner_ray.training.finetuning import finetune
from learner_ray.training.frames import Waits
from learner_ray.training.graph import CudaGraphs, GraphedStep
from learner_ray.training.precision import autocast, weight_format
from learner_ray.training.progression import Embedded, Progression
from learner_ray.training.step import DivergedError, StepInputs, TrainingScans, TrainingStep, epoch_inputs
from learner_ray.training.tensors import UnreadableError, read_tensors, write_tensors


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


def encode(
    network: Network, data: Data, scans: list[str], config: Config, device: str, batch_size: int = 32
) -> Output:
    """The network's outputs for N scans without augmentation, in their order: embeddings (N, D), projections,
    and standardised scores (N,)."""
    batches = data.batches(scans, config.data.frames, device, batch_size)
    return encode_clips(network, batches, config, device)


@torch.inference_mode()
def encode_clips(network: Network, batches: Iterable[Tensor], config: Config, device: str) -> Output:
    """The network's outputs, as of :func:`encode`, for batches of standardised frames, float32
    (B, T, H, W)."""
    network.eval()
    outputs = []
    for pixels in batches:
        with autocast(config.train.precision, device):
            outputs.append(network(pixels.to(device)))
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
        self.waited = 0.0
        """Seconds of the last epoch in which training waited for frames."""
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
        standardised = torch.from_numpy((scores - self.score_scale.mean) / self.score_scale.sd).float()
        patients = torch.from_numpy(np.unique(self._scans["patient"], return_inverse=True)[1])
        means, sds = self._data.statistics(self._scans["scan"])
        scans = TrainingScans(
            scores=standardised.to(self._device),
            patients=patients.to(self._device),
            order=torch.tensor(self._scans["order"].tolist()).to(self._device),
            means=means.to(self._device),
            sds=sds.to(self._device),
            change_threshold=self._data.cohort.score.change_threshold / self.score_scale.sd,
        )
        self._scores = standardised.numpy()
        self._step = TrainingStep(config, self.network, scans, self.world)
        alone = self._device.startswith("cuda") and self.world.size == 1
        self._graphed = GraphedStep(self._step, CudaGraphs() if alone else None)
        self._steps_per_epoch = math.ceil(len(self._scans) / config.train.batch_size)

    @property
    def last_epoch(self) -> int:
        """The epoch after which the run ends."""
        return (self.config.train.stop_epoch or self.config.train.epochs) if self.config.pretrains else 0

    def run_epoch(self) -> dict[str, float]:
        """Trains one epoch and returns the means of the loss and its parts over its scans.

        Raises:
            DivergedError: the loss or its gradient became infinite or not a number.
        """
        self.network.train()
        with RANDOM:  # for encoders with dropout
            torch.manual_seed(random_key(self.config.seed, self.epoch))
        rates = [self._lr(self.epoch * self._steps_per_epoch + step) for step in range(self._steps_per_epoch)]
        on_device = torch.tensor(rates, dtype=torch.float32).to(self._device)
        batches, waits = self._batches(), Waits()
        for inputs, lr in zip(self._inputs(batches, waits), on_device, strict=True):
            self._graphed(inputs, lr)
        try:
            means = self._step.read_means(sum(map(len, batches)))
        except DivergedError as error:
            raise DivergedError(f"{error} in epoch {self.epoch + 1}") from None
        self.waited = waits.seconds()
        self.epoch += 1
        return means | {"lr": rates[-1]}

    def _batches(self) -> list[NDArray[np.int64]]:
        """The rows of the epoch's scans, batch by batch, as ``train.balance`` says."""
        rng = np.random.default_rng(random_key(self.config.seed, "batches", self.epoch))
        if self.config.train.balance == "score":
            return balanced_by_score(self._scores, self._steps_per_epoch, rng)
        if self.config.train.balance == "patient":
            patients, visits = (self._scans[key].to_numpy() for key in ("patient", "order"))
            return paired_by_patient(patients, visits, self._steps_per_epoch, rng)
        return shuffled(len(self._scans), self._steps_per_epoch, rng)

    def _inputs(self, batches: list[NDArray[np.int64]], waits: Waits) -> Iterable[StepInputs]:
        """The inputs of an epoch's steps, of which each rank has its share."""
        views = self._step.loss.views
        shares = [self.world.shares(batch) for batch in batches]
        clips_of = [[np.tile(share, views) for share in batch] for batch in shares]
        own = [torch.from_numpy(batch[self.world.rank]) for batch in clips_of]
        keys = [self._keys(batch[self.world.rank], views) for batch in shares]
        whole = [torch.from_numpy(np.concatenate(batch)) for batch in clips_of]
        lengths = [tuple(map(len, batch)) for batch in clips_of]
        scans = self._scans["scan"].to_numpy()[torch.cat(own).numpy()]
        indices = self._data.frame_indices(scans, self.config.data.frames, torch.cat(keys))
        by_step = torch.split(indices, [len(rows) for rows in own])
        clips = self._data.frames(self._device).clips(by_step, waits)
        return epoch_inputs(clips, own, keys, whole, lengths, torch.device(self._device))

    def _keys(self, share: NDArray[np.int64], views: int) -> Tensor:
        """The random keys of the clips of a share, one view of all its scans after the other."""
        scans = self._scans["scan"].to_numpy()[share]
        keys = [random_key(self.config.seed, self.epoch, view, s) for view in range(views) for s in scans]
        return torch.tensor(keys, dtype=torch.int64)

    def _lr(self, step: int) -> float:
        """The learning rate: linear warm-up, then a cosine to zero at the end of the whole schedule."""
        train = self.config.train
        steps = train.epochs * self._steps_per_epoch
        warmup = train.warmup * steps
        if step < warmup:
            factor = (step + 1) / warmup if warmup > 1 else 1.0
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        return train.lr * min(factor, 1.0)

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
        if self.config.pretrains:
            self._step.gradients.close()
        try:
            tuned = finetune(self.network, progression, pairs, self._data, self.config, self._device)
        except FloatingPointError as error:
            raise DivergedError(str(error)) from error
        self.world.share_first(self.network)
        return tuned

    def save(self, path: Path, run_hash: str) -> None:
        """Writes network, optimiser, running means and epoch of a run, whole or not at all."""
        state = {
            "run_hash": run_hash,
            "network": self.network.state_dict(),
            "optimizer": self._step.optimizer.state_dict(),
            "weighting": self._step.weighting.state_dict(),
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
        means = state.get("weighting", {})  # older versions had raw weights alone, which need none
        if _shapes(means) != _shapes(self._step.weighting.state_dict()):
            raise UnreadableError("it is of another run")
        if state["epoch"] > epochs:
            raise UnreadableError("progress.jsonl ends before its epoch")
        self.network.load_state_dict(state["network"])
        self._step.load_optimizer(state["optimizer"])
        self._step.weighting.load_state_dict(means)
        self.epoch = state["epoch"]


def _shapes(state: Any) -> dict[str, torch.Size]:
    tensors = state if isinstance(state, dict) else {}
    return {name: tensor.shape for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def _shuffled(scores: NDArray[np.float64], visits: Any, seed: int) -> NDArray[np.float64]:
    """Scores permuted over visits; the scans of one visit keep sharing one."""
    names, first, index = np.unique(visits.to_numpy(), return_index=True, return_inverse=True)
    order = np.random.default_rng(random_key(seed, "shuffled scores")).permutation(len(names))
    return np.asarray(scores[first][order][index])
