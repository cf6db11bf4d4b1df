"""Runs in one process do not influence each other: each gives the bits that it gives alone."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from learner_ray.core.components import ENCODERS
from learner_ray.core.config import Config
from learner_ray.core.sections import PixelSettings
from learner_ray.encoders import Encoder, build_network
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import RunSpec, Source
from learner_ray.training.data import open_data
from learner_ray.training.metrics import without_warnings
from learner_ray.training.process import training_device
from learner_ray.training.run import TrainingRun
from learner_ray.training.side_by_side import drawing_encoder, process_settings, side_by_side
from tests.training.test_run import FINAL, TRIAL, numbers, spec


def train(spec: RunSpec, folder: Path, device: str = "cpu") -> RunFolder:
    run = TrainingRun(spec, RunFolder(folder), device)
    while run.advance() is not None:
        pass
    return RunFolder(folder)


def same(first: RunFolder, second: RunFolder) -> bool:
    """Whether two runs left the same rows, tables and encoders, bit for bit."""
    names = [p.name for p in first.path.glob("*") if p.suffix in (".parquet", ".pt")]
    contents = [(first.path / name).read_bytes() == (second.path / name).read_bytes() for name in names]
    return numbers(first) == numbers(second) and first.state == second.state and all(contents)


def different_runs(manifest: Path) -> list[RunSpec]:
    other = {"train__precision": "bfloat16", "loss__name": "contrastive", "progression__head": "mlp"}
    return [
        spec(manifest, FINAL, seed=1, train__epochs=2),
        spec(manifest, TRIAL, seed=2, train__epochs=2, encoder__shift_fraction=0.0, **other),
    ]


@pytest.mark.long
def test_each_of_several_runs_side_by_side_gives_the_bits_that_it_gives_alone(
    manifest: Path, tmp_path: Path
) -> None:
    """Beside them one diverges and one raises, which touches no other."""
    specs = different_runs(manifest)
    alone = [train(s, tmp_path / f"alone-{k}") for k, s in enumerate(specs)]
    specs.append(spec(manifest, TRIAL, train__optimizer="sgd", train__lr=1e30))
    specs.append(replace(specs[0], source=replace(specs[0].source, path=str(tmp_path / "gone.csv"))))
    open_data.cache_clear()
    found = side_by_side([partial(train, s, tmp_path / f"{k}") for k, s in enumerate(specs)])
    *fine, diverged, raised = found
    assert all(isinstance(run, RunFolder) and same(a, run) for a, run in zip(alone, fine, strict=True))
    assert isinstance(diverged, RunFolder) and diverged.state is not None
    assert diverged.state["state"] == "diverged"
    assert isinstance(raised, Exception) and "gone.csv" in str(raised)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_two_runs_on_streams_of_one_gpu_give_the_bits_that_each_gives_alone(
    manifest: Path, tmp_path: Path
) -> None:
    specs = different_runs(manifest)
    alone = [train(s, tmp_path / f"alone-{k}", "cuda") for k, s in enumerate(specs)]
    found = side_by_side([partial(train, s, tmp_path / f"{k}", "cuda") for k, s in enumerate(specs)])
    assert all(isinstance(run, RunFolder) and same(a, run) for a, run in zip(alone, found, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_each_thread_has_a_stream_of_its_own() -> None:
    streams = side_by_side([lambda: torch.cuda.current_stream().cuda_stream] * 2)
    assert len({*streams, torch.cuda.default_stream().cuda_stream}) == 3
    assert training_device() == "cuda"


def test_networks_built_at_the_same_time_have_the_weights_that_each_has_alone() -> None:
    config = Config().encoder
    state = torch.get_rng_state()
    alone = [build_network(config, 2, seed).state_dict() for seed in range(4)]
    together = side_by_side([partial(build_network, config, 2, seed) for seed in range(4)])
    for expected, network in zip(alone, together, strict=True):
        assert isinstance(network, nn.Module)
        assert all(torch.equal(expected[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_a_cohort_that_several_runs_ask_for_is_opened_once(manifest: Path) -> None:
    open_data.cache_clear()
    opened = side_by_side([partial(open_data, Source(path=str(manifest)), PixelSettings(32))] * 3)
    assert len({id(data) for data in opened}) == 1


def test_filters_of_warnings_are_left_as_they_were_by_threads_that_overlap() -> None:
    filters = list(warnings.filters)
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with without_warnings():
            first_in.set()
            second_in.wait(0.2)  # in vain: the second waits outside
        first_out.set()

    def second() -> None:
        first_in.wait()
        with without_warnings():
            second_in.set()
            first_out.wait()

    side_by_side([first, second])
    assert warnings.filters == filters


def test_an_encoder_that_draws_while_it_trains_is_told_from_one_that_does_not() -> None:
    class Drawing(Encoder):
        """Has no layer that would tell of it."""

        name = "drawing_for_a_test"
        width = 1

        def forward(self, clips: Tensor) -> Tensor:
            return nn.functional.dropout(clips.mean((1, 2, 3))[:, None], training=self.training)

    small = Config().with_values({"data.image_size": 32, "data.frames": 2})
    state = torch.get_rng_state()
    assert drawing_encoder(small) == ""
    try:
        said = drawing_encoder(small.with_values({"encoder.name": Drawing.name}))
    finally:
        ENCODERS._added.pop(Drawing.name)
    assert said.startswith("the encoder 'drawing_for_a_test' draws random numbers")
    assert torch.equal(torch.get_rng_state(), state)


def test_runs_of_other_threads_have_other_process_settings(manifest: Path) -> None:
    run = spec(manifest, TRIAL)
    assert process_settings(run) == process_settings(spec(manifest, FINAL, seed=5))
    assert process_settings(run) != process_settings(replace(run, threads=run.threads + 1))
