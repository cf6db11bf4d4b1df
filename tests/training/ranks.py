"""What every rank of a spawned world does in the tests of several devices."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from learner_ray.core.config import Config, EncoderConfig
from learner_ray.core.sections import PixelSettings
from learner_ray.encoders.network import Output, build_network
from learner_ray.encoders.resnet import _norm
from learner_ray.losses import total_loss
from learner_ray.run.spec import RunSpec, Source
from learner_ray.training import pretraining as pretraining_module
from learner_ray.training.data import Data, open_data
from learner_ray.training.distributed import World
from learner_ray.training.frames import Waits
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.step import StepInputs
from tests.training.test_run import finish

PATIENTS = ("p0", "p1", "p2", "p3", "p4")
ROWS = np.arange(1, 11)
"""Of one step. Ten rows are three, three, two and two of four ranks."""


class SmallNetwork(nn.Module):
    """Two layers and no kink. A step of the ResNet-18 takes long, and where rounding moves one of its
    rectified units across zero, its float32 gradient is 1e-3 from the float64 one already in one process."""

    def __init__(self, config: EncoderConfig, frames: int) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(frames, 32, 5, 4, bias=False),
            _norm(config.norm, 32),
            nn.SiLU(),
            nn.Conv2d(32, 32, 3),
        ]
        if config.volumetric:
            layers = [nn.Conv3d(1, 32, (2, 5, 5), (1, 4, 4), bias=False), nn.BatchNorm3d(32), nn.SiLU(),
                      nn.Conv3d(32, 32, (1, 3, 3))]  # fmt: skip
        self.volumetric = config.volumetric
        self.encoder = nn.Sequential(*layers)
        self.score = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Output:
        x = x.to(self.score.weight.dtype)
        embedding = self.encoder(x[:, None] if self.volumetric else x).flatten(2).mean(2)
        return Output(embedding, self.score(embedding).squeeze(1), embedding)


def build_small(config: EncoderConfig, frames: int, seed: int) -> SmallNetwork:
    torch.manual_seed(seed)
    return SmallNetwork(config, frames)


def start(
    rank: int, size: int, manifest: str, configs: dict[str, Config], specs: dict[str, RunSpec], out: Path
) -> None:
    """Compares this world with one process alone; the first rank writes ``steps.json``."""
    torch.set_num_threads(1)
    limit = timedelta(minutes=5)
    dist.init_process_group("gloo", f"file://{out}/store", timeout=limit, rank=rank, world_size=size)
    data = open_data(Source(path=manifest), PixelSettings(32))
    pretraining_module.build_network = build_small  # type: ignore[assignment]
    differences = {
        f"{name}/{precision}": compare(config.with_values({"train.precision": precision}), data)
        for name, config in configs.items()
        for precision in ("float64", "float32")
    }
    if size > 1:
        differences |= {
            f"{name}/plain": compare_plain(config.with_values({"train.precision": "float64"}), data)
            for name, config in configs.items()
            if config.encoder.norm == "group"
        }
    pretraining_module.build_network = build_network
    if size == 2:
        for name, spec in specs.items():
            finish(spec, out / name)
    if rank == 0:
        (out / "steps.json").write_text(json.dumps(differences))
    dist.destroy_process_group()


def start_on_gpus(
    rank: int, size: int, manifest: str, configs: dict[str, Config], specs: dict[str, RunSpec], out: Path
) -> None:
    """The same comparison on a GPU per rank. In float64 alone, as convolutions of float32 may be rounded."""
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", f"file://{out}/store", rank=rank, world_size=size)
    data = open_data(Source(path=manifest), PixelSettings(32))
    pretraining_module.build_network = build_small  # type: ignore[assignment]
    differences = {
        f"{name}/float64": compare(config.with_values({"train.precision": "float64"}), data, "cuda")
        for name, config in configs.items()
    }
    if rank == 0:
        (out / "steps.json").write_text(json.dumps(differences))
    dist.destroy_process_group()


def compare(config: Config, data: Data, device: str = "cpu") -> dict[str, float]:
    """The relative differences of a training step in this world from the same one in one process.

    Of the first rank alone: all have the same.
    """
    together = step(config, data, World.current(), device)
    return relative(together, step(config, data, World(), device)) if World.current().is_first else {}


def step(config: Config, data: Data, world: World, device: str = "cpu") -> dict[str, Tensor]:
    """Loss and gradients of the first training step."""
    pretraining = Pretraining(config, data, PATIENTS, device, world)
    pretraining.network.train()
    terms = pretraining._step.backward(inputs_of(pretraining, ROWS))
    size = terms["mse"].abs() + terms["contrastive"].abs()
    return {"loss": terms["loss"], "size": size, **gradients(pretraining)}


def inputs_of(pretraining: Pretraining, rows: NDArray[np.int64]) -> StepInputs:
    """The inputs of a step on some scans, in this world."""
    (inputs,) = pretraining._inputs([rows], Waits())
    return inputs


def gradients(pretraining: Pretraining) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in pretraining.network.named_parameters() if p.grad is not None}


def compare_plain(config: Config, data: Data) -> dict[str, float]:
    """The same for a plain data-parallel wrapper, in which each rank's loss is of its own share."""
    pretraining = Pretraining(config, data, PATIENTS)
    world = World.current()
    # Not looking for unused parameters (there are none): ranks then tell each other of them while they sum
    # gradients, and of two exchanges at once gloo was seen to finish neither.
    wrapped = DistributedDataParallel(pretraining.network)
    own_step = pretraining._step
    own_step.network = wrapped  # type: ignore[assignment]
    own, _ = own_step.outputs(inputs_of(pretraining, world.shares(ROWS)[world.rank]))
    loss, _ = total_loss(own_step.loss, own, config.loss)
    loss.backward()  # type: ignore[no-untyped-call]
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    if not world.is_first:
        return {}
    alone = step(config, data, World())
    return relative({"loss": mean / world.size, **gradients(pretraining)}, alone)


def relative(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Of the loss, relative to the size of its terms (``expw`` is negative, and may cancel the rest);
    and the largest of any parameter's gradient, relative to the whole gradient's length (some have none)."""
    assert found.keys() | {"size"} == expected.keys()
    loss, size = expected.pop("loss"), expected.pop("size")
    length = torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    worst = max(float((found[name] - gradient).norm() / length) for name, gradient in expected.items())
    return {"loss": float((found["loss"] - loss).abs() / size), "gradient": worst}
