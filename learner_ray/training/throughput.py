"""How fast this machine trains, measured by training for a moment."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from learner_ray.core.numerics import NUMERICS
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import RunSpec
from learner_ray.run.throughput import Throughput
from learner_ray.run.user_code import load_components
from learner_ray.training.data import data_of
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.process import make_deterministic, training_device
from learner_ray.training.run import TrainingRun
from learner_ray.training.speed import model_of, synchronise

GPU_WARM_UP_STEPS = 32
"""Steps on a GPU before the first that is timed: in the first ones libraries choose kernels, and the step is
captured as a CUDA graph, once for each of the two sizes of batches."""


def warm_up_epochs(steps_per_epoch: int, device: str) -> int:
    """Epochs to train before the first that is timed: one on a CPU, and on a GPU enough for its steps."""
    return 1 if device == "cpu" else max(1, math.ceil(GPU_WARM_UP_STEPS / max(steps_per_epoch, 1)))


def measure_throughput(spec: RunSpec) -> Throughput:
    """Trains a few epochs of a trial on the device of this process and times the last.

    A run of other numerics is timed by what this version computes.
    """
    spec = replace(spec, numerics=NUMERICS)
    device = training_device()
    data = data_of(spec.source, spec.config)
    scans = len(data.of(spec.patients.pretrain))
    uncounted = warm_up_epochs(math.ceil(scans / spec.config.train.batch_size), device)
    # The length of the schedule decides the learning rate alone, and no epoch's duration.
    spec = replace(spec, config=spec.config.with_values({"train.epochs": uncounted + 1}))
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(spec, RunFolder(Path(folder)), device)
        for _ in range(uncounted):
            run.advance()
        row = run.advance()
    assert row is not None, "the run has an epoch more"
    embedded = (*spec.patients.classifier, *spec.patients.validation)
    return Throughput(
        train_per_scan=row["seconds/train"] / scans,
        evaluate_per_scan=row["seconds/evaluate"] / len(data.of(embedded)),
        device=model_of(device),
    )


@dataclass(frozen=True, kw_only=True)
class TimedEpoch:
    """One epoch of training."""

    begin: float
    """Start by the machine's clock, in seconds."""
    end: float
    """End by the machine's clock, in seconds, when the device had done its last step."""
    scans: int
    """Scans in the epoch."""


@dataclass(frozen=True, kw_only=True)
class TimedTraining:
    """The epochs that one process trained while it was timed."""

    epochs: tuple[TimedEpoch, ...]
    """The epochs, in order."""
    memory: int
    """Bytes of the GPU that all processes had taken at the end; 0 on CPUs."""
    capacity: int
    """Bytes of memory that the GPU has; 0 on CPUs."""


MIN_TIMED_EPOCHS = 2
"""Epochs that are timed however long they take: processes that begin at most an epoch apart then have one
each that the others trained through."""


def train_for(spec: RunSpec, seconds: float) -> TimedTraining:
    """Trains epochs of a run for some seconds, and two at least, and keeps nothing. The first epoch is not
    counted, and on a GPU as many as :func:`warm_up_epochs` says, since libraries initialise in them."""
    make_deterministic(spec.threads, deterministic=spec.config.train.deterministic)
    spec = replace(spec, config=load_components(spec.source, spec.config))
    data, device = data_of(spec.source, spec.config), training_device()
    scans = len(data.of(spec.patients.pretrain))
    pretraining = Pretraining(spec.config, data, spec.patients.pretrain, device)
    for _ in range(warm_up_epochs(math.ceil(scans / spec.config.train.batch_size), device)):
        _train_epoch(pretraining, device)
    epochs: list[TimedEpoch] = []
    begin = until = time.time()
    until += seconds
    while begin < until or len(epochs) < MIN_TIMED_EPOCHS:
        _train_epoch(pretraining, device)
        epochs.append(TimedEpoch(begin=begin, end=time.time(), scans=scans))
        begin = epochs[-1].end
    free, capacity = torch.cuda.mem_get_info() if device == "cuda" else (0, 0)
    return TimedTraining(epochs=tuple(epochs), memory=capacity - free, capacity=capacity)


def _train_epoch(pretraining: Pretraining, device: str) -> None:
    """Trains an epoch to its end on the device, from the first again where the schedule has no more."""
    if pretraining.epoch >= pretraining.last_epoch:
        pretraining.epoch = 0
    pretraining.run_epoch()
    synchronise(device)
