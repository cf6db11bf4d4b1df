"""A training step of made-up clips: no cohort, no files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from learner_ray.core.config import Config
from learner_ray.encoders.network import build_network
from learner_ray.training.distributed import World
from learner_ray.training.step import StepInputs, TrainingScans, TrainingStep

SCANS = 12


def config_of(**values: Any) -> Config:
    """Small frames, and dotted keys with underscores for their first dot."""
    small: dict[str, Any] = {"data.image_size": 32, "data.frames": 2, "train.precision": "float32"}
    return Config().with_values(small | {key.replace("_", ".", 1): value for key, value in values.items()})


def make_step(config: Config, device: str = "cpu") -> TrainingStep:
    """The step of a network with the seed's weights, on scans with made-up scores."""
    generator = torch.Generator().manual_seed(1)
    network = build_network(config.encoder, config.data.frames, config.seed).to(device).train()
    scans = TrainingScans(
        scores=torch.randn(SCANS, generator=generator).to(device),
        patients=(torch.arange(SCANS) // 3).to(device),
        order=(torch.arange(SCANS) % 3).to(device),
        means=torch.full((SCANS,), 100.0).to(device),
        sds=torch.full((SCANS,), 50.0).to(device),
    )
    return TrainingStep(config, network, scans, World())


def make_inputs(step: TrainingStep, sizes: list[int], device: str = "cpu") -> Iterator[StepInputs]:
    """Batches of so many scans, all different."""
    config, views = step.config, step.loss.views
    for number, size in enumerate(sizes):
        generator = torch.Generator().manual_seed(number)
        rows = torch.randperm(SCANS, generator=generator)[:size].repeat(views)
        shape = (len(rows), config.data.frames, config.data.image_size, config.data.image_size)
        clips = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        keys = torch.randint(0, 2**62, (len(rows),), generator=generator)
        tensors = (tensor.to(device) for tensor in (clips, rows, keys, rows))
        yield StepInputs(*tensors, (len(rows),))
