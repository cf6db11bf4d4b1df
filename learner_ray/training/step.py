"""One step of pretraining, on the device from the frames to the new weights, with nothing read by the host.

It needs torch and numpy alone: no cohort, no tables, no Ray.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from learner_ray.core.config import Config, TrainConfig
from learner_ray.encoders.network import Network
from learner_ray.imaging.augmentation import augment
from learner_ray.losses import Batch, TrainingScores, Weighting, build_loss, loss_terms
from learner_ray.losses.total import recorded
from learner_ray.training.distributed import World
from learner_ray.training.gradients import GradientSum, gradient_norms
from learner_ray.training.precision import autocast

STRENGTHS = ("regression_gradient", "contrastive_gradient", "contrastive_factor")
"""The lengths of both weighted terms' gradients at the embedding, and what the contrastive one was multiplied
by."""
MOMENTUM = 0.9
"""The momentum of the optimiser ``sgd``."""
MEANS = ("loss", "mse", "contrastive", *STRENGTHS, "gradient_norm")
"""What is averaged over an epoch, weighted by the scans of each step."""


class DivergedError(Exception):
    """The loss or its gradient became infinite or not a number."""


@dataclass(frozen=True)
class TrainingScans:
    """What a step has to know of the N scans that are trained on; tensors on the device."""

    scores: Tensor
    """(N,) float32, standardised."""
    patients: Tensor
    """(N,) int64 numbers of patients."""
    order: Tensor
    """(N,) order of the visit within its patient."""
    means: Tensor
    """(N,) float32, mean grey value of the scan's foreground."""
    sds: Tensor
    """(N,) float32, SD of the same."""
    change_threshold: float = 1.0
    """Least change of the score that is worse or better, in training SDs; 1 where no cohort states one."""


@dataclass(frozen=True)
class StepInputs:
    """One batch; tensors on the device. Of several ranks, each has its own share of the clips."""

    clips: Tensor
    """uint8 (B, T, H, W): this rank's clips, one view of all its scans after the other."""
    rows: Tensor
    """int64 (B,): which of the training scans the clips are."""
    keys: Tensor
    """int64 (B,): random keys of their augmentation."""
    batch: Tensor
    """int64 (sum of lengths,): the scans of the global batch, rank by rank, views within."""
    lengths: tuple[int, ...]
    """Clips of each rank."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Clips, rows, keys and batch, of the shapes above: (B, T, H, W) and three times one dimension."""
        return self.clips, self.rows, self.keys, self.batch

    @property
    def shape(self) -> tuple[object, ...]:
        """What two batches must share for one CUDA graph to serve both."""
        return *(tensor.shape for tensor in self.tensors), self.lengths


class TrainingStep:
    """The step of one run, with its loss and optimiser.

    Args:
        config: of the run.
        network: is trained, on the device where it lies.
        scans: the scans that may come in a batch.
        world: the processes that train together.
    """

    def __init__(self, config: Config, network: Network, scans: TrainingScans, world: World) -> None:
        self.config = config
        self.network = network
        scores = TrainingScores(scans.scores.cpu(), scans.patients.cpu(), scans.change_threshold)
        self.loss = build_loss(config.loss, scores).to(scans.scores.device)
        self.weighting = Weighting(config.loss, scans.scores.device)
        self.gradients = GradientSum(network.parameters(), world)
        self._scans = scans
        self._world = world
        self._device = scans.scores.device
        # A tensor, so that a CUDA graph sees each step's; float32 is what fused kernels take.
        self._lr = torch.zeros((), device=self._device)
        self._sums = torch.zeros(len(MEANS), dtype=torch.float64, device=self._device)
        self.optimizer = _optimizer(network, config.train, self._lr)

    def __call__(self, inputs: StepInputs) -> None:
        """Trains one batch: forward, loss over the global batch, backward, clipping, optimiser."""
        parts = self.backward(inputs)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.train.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()  # now: the next forward pass needs the memory
        values = torch.stack(
            [*(parts[name].to(self._sums) for name in MEANS[:-1]), norm.detach().to(self._sums)]
        )
        scans = sum(inputs.lengths) // self.loss.views
        self._sums.add_(values * scans)

    def backward(self, inputs: StepInputs) -> dict[str, Tensor]:
        """Leaves the gradients of the global batch at the network's parameters; the loss () and its parts."""
        batch, embeddings = self.outputs(inputs)
        terms = loss_terms(self.loss, batch)
        norms = gradient_norms(terms, embeddings, self._world)
        loss, strengths = self.weighting.total(terms, norms)
        loss.backward()  # type: ignore[no-untyped-call]
        self.gradients.finish()
        return recorded(loss, terms) | dict(zip(STRENGTHS, strengths.unbind(), strict=True))

    def outputs(self, inputs: StepInputs) -> tuple[Batch, Tensor]:
        """The network's outputs for the global batch, of which this rank computes its clips; and the
        embeddings (B, D) of these clips."""
        scans, rows = self._scans, inputs.rows
        strength = self.config.data.augment
        pixels = augment(inputs.clips, scans.means[rows], scans.sds[rows], inputs.keys, strength)
        with autocast(self.config.train.precision, self._device.type):
            output = self.network(pixels)
        # Scores and patients need no gathering: every rank knows the whole order of the scans.
        batch = Batch(
            embeddings=self._world.gather(output.projection, inputs.lengths),
            scores=scans.scores[inputs.batch],
            patients=scans.patients[inputs.batch],
            scans=inputs.batch,
            predictions=self._world.gather(output.score, inputs.lengths),
            order=scans.order[inputs.batch],
        )
        return batch, output.embedding

    def set_lr(self, lr: Tensor) -> None:
        """Sets the learning rate of the next step: a tensor () on the device."""
        self._lr.copy_(lr)

    def read_means(self, scans: int) -> dict[str, float]:
        """The means of ``MEANS`` over so many scans since the last reading, and ``gradient_ratio``: how
        strong the contrastive term was beside the regression. The one time in an epoch that the host waits
        for the device.

        Raises:
            DivergedError: a loss or gradient among them was infinite or not a number.
        """
        sums = dict(zip(MEANS, self._sums.tolist(), strict=True))
        self._sums.zero_()
        for name, words in (("loss", "loss"), ("gradient_norm", "norm of the gradient")):
            if not math.isfinite(sums[name]):
                raise DivergedError(f"the {words} is {sums[name]}")
        regression, contrastive, _ = (sums[name] for name in STRENGTHS)
        # Of the means: a mean of ratios would be that of the few steps whose regression is nearly fitted.
        ratio = contrastive / regression if regression else math.nan
        return {name: total / scans for name, total in sums.items()} | {"gradient_ratio": ratio}

    def load_optimizer(self, state: dict[str, object]) -> None:
        """Takes the state of an optimiser that stood in the same place."""
        self.optimizer.load_state_dict(state)
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr  # loading puts another tensor there


def epoch_inputs(
    clips: Iterable[Tensor], own: Sequence[Tensor], keys: Sequence[Tensor], batches: Sequence[Tensor],
    lengths: Sequence[tuple[int, ...]], device: torch.device,
) -> Iterable[StepInputs]:  # fmt: skip
    """The inputs of an epoch's steps; all indices move to the device in one copy.

    Args:
        clips: uint8 (B, T, H, W) of each step, on the device.
        own: int64 (B,) rows of this rank's clips, on the CPU.
        keys: int64 (B,) random keys, on the CPU.
        batches: int64 rows of each global batch, on the CPU.
        lengths: clips of each rank.
        device: where to train.
    """
    parts = [*own, *keys, *batches]
    flat = torch.split(torch.cat(parts).to(device), [len(part) for part in parts])
    n = len(own)
    for step, pixels in enumerate(clips):
        yield StepInputs(pixels, flat[step], flat[n + step], flat[2 * n + step], lengths[step])


def _optimizer(network: nn.Module, train: TrainConfig, lr: Tensor) -> torch.optim.Optimizer:
    """Weight decay falls on weights alone, not on biases and normalisation."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True, capturable=lr.is_cuda)
    return torch.optim.SGD(groups, lr=lr, momentum=MOMENTUM, fused=True)
