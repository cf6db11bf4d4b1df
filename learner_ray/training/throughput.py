"""How fast this machine trains, by training a little."""

from __future__ import annotations

import itertools
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import RunSpec
from learner_ray.run.user_code import load_components
from learner_ray.study.cost_estimate import Throughput
from learner_ray.training.data import open_data
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.process import make_deterministic
from learner_ray.training.run import TrainingRun


def measure_throughput(spec: RunSpec) -> Throughput:
    """Runs two epochs of a trial that pretrains and validates, and times the second."""
    data = open_data(spec.source, spec.config.data.image_size)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(spec, RunFolder(Path(folder)), _device())
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
    """A training step, by the machine's clock (seconds)."""

    begin: float
    end: float
    scans: int


@dataclass(frozen=True, kw_only=True)
class TimedTraining:
    """The steps that one process trained while it was timed."""

    steps: tuple[Step, ...]
    memory: int
    """Bytes taken of the GPU at the end, by whomever; 0 on CPUs."""
    capacity: int
    """Bytes that the GPU has; 0 on CPUs."""


def train_for(spec: RunSpec, seconds: float) -> TimedTraining:
    """Trains steps of a run and keeps nothing. The first is left out: libraries set themselves up in it."""
    make_deterministic(spec.threads)
    spec = replace(spec, config=load_components(spec.source, spec.config))
    data = open_data(spec.source, spec.config.data.image_size)
    pretraining = Pretraining(spec.config, data, spec.patients.pretrain, _device())
    endless = itertools.chain.from_iterable(pretraining.steps() for _ in itertools.count())
    next(endless)
    steps: list[Step] = []
    begin = until = time.time()
    until += seconds
    while begin < until:
        scans, _ = next(endless)  # whose loss was read: the device has done the step
        steps.append(Step(begin=begin, end=time.time(), scans=scans))
        begin = steps[-1].end
    free, capacity = torch.cuda.mem_get_info() if _device() == "cuda" else (0, 0)
    return TimedTraining(steps=tuple(steps), memory=capacity - free, capacity=capacity)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
