"""The ways to train that ``gpu.py`` compares, on made-up clips: it needs torch, numpy and this checkout.

As a script it is one process of several side by side: it says when it is ready, and trains when told to.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.plain_trainer import PlainTrainer
from learner_ray.core.config import Config
from learner_ray.encoders.network import build_network
from learner_ray.training.distributed import World
from learner_ray.training.frames import Frames, MappedFrames, ResidentFrames, StreamedFrames, Waits
from learner_ray.training.graph import CudaGraphs, GraphedStep
from learner_ray.training.process import make_deterministic
from learner_ray.training.step import TrainingScans, TrainingStep, epoch_inputs

SCANS, LENGTH = 64, 32
"""Clips of the made-up cohort, and frames of each."""
STEPS = 24
"""Steps of an epoch."""


def config_of(size: int, frames: int, batch: int, **values: Any) -> Config:
    """A configuration; ``loss_name`` and the like stand for dotted keys."""
    shape = {"data.image_size": size, "data.frames": frames, "train.batch_size": batch}
    return Config().with_values(shape | {key.replace("_", ".", 1): value for key, value in values.items()})


def made_up_scans(device: str) -> TrainingScans:
    """Scores, patients and statistics of the made-up cohort."""
    generator = torch.Generator().manual_seed(0)
    return TrainingScans(
        scores=torch.randn(SCANS, generator=generator).to(device),
        patients=(torch.arange(SCANS) // 4).to(device),
        order=(torch.arange(SCANS) % 4).to(device),
        means=torch.full((SCANS,), 127.5).to(device),
        sds=torch.full((SCANS,), 74.0).to(device),
    )


def made_up_pixels(size: int) -> np.ndarray:
    """The frames of all clips, uint8 (F, size, size)."""
    return np.random.default_rng(0).integers(0, 256, (SCANS * LENGTH, size, size), dtype=np.uint8)


class Ours:
    """This package's step, over epochs of ``STEPS`` batches of one shape.

    Args:
        config: what is trained.
        device: where.
        place: where the frames lie.
        graph: whether steps are captured.
    """

    def __init__(self, config: Config, device: str, place: type[Frames], *, graph: bool) -> None:
        make_deterministic(1, deterministic=config.train.deterministic)
        self.config, self.device = config, torch.device(device)
        self.network = build_network(config.encoder, config.data.frames, 0).to(device).train()
        self.step = TrainingStep(config, self.network, made_up_scans(device), World())
        self.frames = place(made_up_pixels(config.data.image_size), device)
        self.graphed = GraphedStep(self.step, CudaGraphs() if graph else None)
        self.lr = torch.full((), 1e-3, device=device)
        self.waited, self._epoch = 0.0, 0

    def epoch(self, steps: int = STEPS) -> dict[str, float]:
        """Trains an epoch; its means, for which the host waits."""
        waits, views = Waits(), self.step.loss.views
        batch, frames = self.config.train.batch_size, self.config.data.frames
        generator = torch.Generator().manual_seed(self._epoch)
        rows, keys, indices = [], [], []
        for _ in range(steps):
            chosen = torch.randperm(SCANS, generator=generator)[:batch].repeat(views)
            rows.append(chosen)
            keys.append(torch.randint(2**62, chosen.shape, generator=generator))
            within = torch.randint(LENGTH, (len(chosen), frames), generator=generator).sort(1).values
            indices.append(chosen[:, None] * LENGTH + within)
        lengths = [(len(chosen),) for chosen in rows]
        clips = self.frames.clips(indices, waits)
        for inputs in epoch_inputs(clips, rows, keys, rows, lengths, self.device):
            self.graphed(inputs, self.lr)
        means = self.step.read_means(steps * batch)
        self.waited, self._epoch = waits.seconds(), self._epoch + 1
        return means

    def weights(self) -> Tensor:
        """All weights in one row, on the CPU."""
        return torch.cat([p.detach().flatten() for p in self.network.parameters()]).cpu()


class Plain:
    """The plain trainer on one batch of ready clips. Without augmentation."""

    def __init__(self, config: Config, device: str) -> None:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True
        scans, size = made_up_scans(device), config.data.image_size
        self._trainer = PlainTrainer(config, scans.scores, scans.patients, scans.order, device)
        self._clips = torch.randn(config.train.batch_size, config.data.frames, size, size)

    def epoch(self, steps: int = STEPS) -> None:
        """Trains an epoch."""
        for _ in range(steps):
            self._trainer.step(self._clips, torch.arange(len(self._clips)))


def synchronise(device: str) -> None:
    """Waits until the device has done all it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def ms_per_step(epoch: Callable[[], Any], device: str, seconds: float, steps: int = STEPS) -> float:
    """Milliseconds of a step: the median of whole epochs over some seconds, after one to warm up."""
    epoch()
    synchronise(device)
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < 2 or time.perf_counter() < until:
        begin = time.perf_counter()
        epoch()
        synchronise(device)
        taken.append(time.perf_counter() - begin)
    return 1000 * float(np.median(taken)) / steps


def train_until(ours: Ours, seconds: float) -> float:
    """Clips per second of epochs over some seconds."""
    begin, clips = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        ours.epoch()
        clips += STEPS * ours.config.train.batch_size
    return clips / (time.perf_counter() - begin)


PLACES = {"mapped": MappedFrames, "resident": ResidentFrames, "streamed": StreamedFrames}


def main() -> None:
    """One process of several: options as JSON, then a line to begin."""
    options = json.loads(sys.argv[1])
    config = config_of(options["size"], options["frames"], options["batch"], loss_name="contrastive")
    place = PLACES[options["place"]]
    ours = Ours(config, options["device"], place, graph=options["graph"])
    ours.epoch()
    print("ready", flush=True)
    sys.stdin.readline()
    print(train_until(ours, options["seconds"]), flush=True)


if __name__ == "__main__":
    main()
