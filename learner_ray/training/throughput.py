"""How fast this machine trains, measured by training for a moment."""

from __future__ import annotations

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
from learner_ray.training.data import open_data
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.process import make_deterministic, training_device
from learner_ray.training.run import TrainingRun


def measure_throughput(spec: RunSpec) -> Throughput:
    """Trains two epochs of a trial and times the second.

    A run of other numerics is timed by what this version computes.
    """
    spec = replace(spec, numerics=NUMERICS)
    data = open_data(spec.source, spec.config.data.image_size)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(spec, RunFolder(Path(folder)), training_device())
        row = run.advance()
        row = (run.advance() if spec.config.train.epochs > 1 else None) or row
    assert row is not None, "a new run has an epoch before it"
    embedded = (*spec.patients.classifier, *spec.patients.validation)
    return Throughput(
        train_per_scan=row["seconds/train"] / len(data.of(spec.patients.pretrain)),
        evaluate_per_scan=row["seconds/evaluate"] / len(data.of(embedded)),
    )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One training step."""

    begin: float
    """Start by the machine's clock, in seconds."""
    end: float
    """End by the machine's clock, in seconds."""
    scans: int
    """Scans in the step."""


@dataclass(frozen=True, kw_only=True)
class TimedTraining:
    """The steps that one process trained while it was timed."""

    steps: tuple[Step, ...]
    """The steps, in order."""
    memory: int
    """Bytes of the GPU that all processes had taken at the end; 0 on CPUs."""
    capacity: int
    """Bytes of memory that the GPU has; 0 on CPUs."""


def train_for(spec: RunSpec, seconds: float) -> TimedTraining:
    """Trains steps of a run for some seconds and keeps nothing. The first step is not counted, since
    libraries initialise in it."""
    make_deterministic(spec.threads)
    spec = replace(spec, config=load_components(spec.source, spec.config))
    data = open_data(spec.source, spec.config.data.image_size)
    pretraining = Pretraining(spec.config, data, spec.patients.pretrain, training_device())
    pretraining.run_epoch()
    steps: list[Step] = []
    begin = until = time.time()
    until += seconds
    while begin < until:
        pretraining.run_epoch()  # whose sums were read: the device has done its steps
        steps.append(Step(begin=begin, end=time.time(), scans=len(data.of(spec.patients.pretrain))))
        begin = steps[-1].end
    free, capacity = torch.cuda.mem_get_info() if training_device() == "cuda" else (0, 0)
    return TimedTraining(steps=tuple(steps), memory=capacity - free, capacity=capacity)
