"""Several ranks train with the loss and the gradients of one."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.multiprocessing
from torch import nn

from learner_ray.cohort import load
from learner_ray.core.components import LOSSES
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.training.distributed import World
from tests.training import ranks
from tests.training.test_run import finish

SMALL = {"data.image_size": 32, "data.frames": 2, "train.epochs": 2, "train.batch_size": 7}
BASE = Config().with_values(SMALL)
NAMES = tuple(LOSSES.built_in)
WEIGHTINGS = {"batch": "raw", "group": "raw", "frozen": "balanced"}
"""By normalisation. Each weighting needs the gradients of all ranks' embeddings, whatever normalised them."""
CONFIGS = {
    f"{name}/{norm}": BASE.with_values({"loss.name": name, "encoder.norm": norm, "loss.weighting": weighting})
    for name in NAMES
    for norm, weighting in WEIGHTINGS.items()
}
CONFIGS["mse/two views"] = BASE.with_values({"loss.views": 2})
CONFIGS["contrastive/volume"] = BASE.with_values(
    {"loss.name": "contrastive", "encoder.name": "monai_resnet18_3d"}
)
"""Stands for a network of volumes, whose batch normalisation has three dimensions."""
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
PATIENTS = Patients(
    pretrain=("p0", "p1", "p2", "p3"), classifier=("p4", "p5", "p6"), test=("p9", "p10", "p11")
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("worlds")]


RUNS: dict[str, dict[str, Any]] = {
    "frozen": {"loss.weighting": "balanced"},
    "fine-tuned": {"progression.finetune_epochs": 1},
}
"""What each adds to the configuration."""


def run_specs(manifest: Path) -> dict[str, RunSpec]:
    """In float64, so that what is left of a difference is no rounding that training amplified."""
    config = CONFIGS["contrastive/batch"].with_values({"train.precision": "float64"})
    source = Source(path=str(manifest), cohort_hash=load(manifest, modality="lus").hash)
    return {
        name: RunSpec(
            config=config.with_values(edits),
            patients=PATIENTS,
            source=source,
        )
        for name, edits in RUNS.items()
    }


def spawn(size: int, manifest: Path, out: Path) -> dict[str, Any]:
    arguments = (size, str(manifest), CONFIGS, run_specs(manifest), out)
    if size == 1:
        ranks.start(0, *arguments)
    else:
        # Forked off a process that has loaded all they need, once.
        multiprocessing.set_forkserver_preload([ranks.__name__])
        torch.multiprocessing.start_processes(
            ranks.start, args=arguments, nprocs=size, daemon=True, start_method="forkserver"
        )
    return json.loads((out / "steps.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="module")
def steps(manifest: Path, folder: Path) -> dict[int, dict[str, Any]]:
    """By world size, the differences from one process. Worlds are spawned once for all tests."""
    found = {}
    for size in (1, 2, 4):
        (folder / str(size)).mkdir()
        # Two ranks drop a checkpoint that cannot be read, or would wait for each other.
        (folder / str(size) / "frozen").mkdir()
        (folder / str(size) / "frozen" / "last.pt").write_bytes(os.urandom(5000))
        found[size] = spawn(size, manifest, folder / str(size))
    return found


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("precision", TOLERANCE)
def test_loss_and_gradients_do_not_depend_on_the_world_size(
    steps: dict[int, dict[str, Any]], size: int, precision: str
) -> None:
    found = {name: steps[size][f"{name}/{precision}"] for name in CONFIGS}
    too_far = {name: d for name, d in found.items() if max(d.values()) > TOLERANCE[precision]}
    assert not too_far


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two GPUs are needed")
def test_loss_and_gradients_of_two_gpus_are_those_of_one(manifest: Path, tmp_path: Path) -> None:
    arguments = (2, str(manifest), CONFIGS, {}, tmp_path)
    torch.multiprocessing.spawn(ranks.start_on_gpus, args=arguments, nprocs=2)
    found = json.loads((tmp_path / "steps.json").read_text())
    assert not {name: d for name, d in found.items() if max(d.values()) > TOLERANCE["float64"]}


@pytest.mark.parametrize("size", [2, 4])
def test_a_plain_wrapper_over_the_pairs_of_each_rank_is_another_loss(
    steps: dict[int, dict[str, Any]], size: int
) -> None:
    """In which the test above would fail: only the mean squared error has no pairs."""
    plain = {name: steps[size][f"{name}/group/plain"] for name in NAMES if name != "mse"}
    near = {name: d for name, d in plain.items() if min(d.values()) < 1e-3}
    assert not near


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("run", RUNS)
def test_a_whole_run_of_two_ranks_predicts_what_one_does(
    run: str, manifest: Path, folder: Path, tmp_path: Path
) -> None:
    finish(run_specs(manifest)[run], tmp_path)
    for name in ("predictions", "scores"):
        alone, together = (pd.read_parquet(f / f"{name}.parquet") for f in (tmp_path, folder / "2" / run))
        pd.testing.assert_frame_equal(together, alone, rtol=0, atol=1e-9)


def test_dropout_is_refused_in_a_world_of_several() -> None:
    """Its draws would depend on how many ranks share a batch."""
    with pytest.raises(UserError, match=r"encoder\.1 of the network is a Dropout.*--devices-per-trial 1"):
        World(size=2).synchronise(nn.ModuleDict({"encoder": nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))}))
