"""A run on a GPU: the same bits again, wherever its frames lie, graph or not, interrupted or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learner_ray.run.folder import RunFolder
from learner_ray.training import frames, graph, pretraining
from learner_ray.training import run as run_module
from learner_ray.training.data import open_data
from learner_ray.training.run import TrainingRun
from tests.training.test_run import FINAL, TRIAL, numbers, spec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
VALUES = {"train__epochs": 6, "train__batch_size": 5, "loss__name": "contrastive"}
"""Four steps an epoch, so that most of them come from graphs."""


def finish(manifest: Path, folder: Path, **values: object) -> RunFolder:
    open_data.cache_clear()  # its frames would stay where they are
    run = TrainingRun(spec(manifest, FINAL, **{**VALUES, **values}), RunFolder(folder), "cuda")
    while run.advance() is not None:
        pass
    return RunFolder(folder)


def same(one: RunFolder, other: RunFolder) -> bool:
    tables = ("predictions.parquet", "scores.parquet", "metrics.json")
    return numbers(one) == numbers(other) and all(
        (one.path / name).read_bytes() == (other.path / name).read_bytes() for name in tables
    )


def test_the_same_specification_gives_the_same_bits(manifest: Path, tmp_path: Path) -> None:
    assert same(finish(manifest, tmp_path / "a"), finish(manifest, tmp_path / "b"))


def test_frames_that_are_streamed_give_the_bits_of_resident_ones(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = finish(manifest, tmp_path / "a")
    monkeypatch.setattr(frames, "RESIDENT_SHARE", 0.0)
    assert same(resident, finish(manifest, tmp_path / "b"))


def test_graphs_give_the_bits_of_single_kernels(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorded: list[graph.Work] = []

    class Watched(graph.CudaGraphs):
        def record(self, work: graph.Work) -> graph.Work:
            recorded.append(super().record(work))
            return recorded[-1]

    monkeypatch.setattr(pretraining, "CudaGraphs", Watched)
    graphed = finish(manifest, tmp_path / "a")
    assert recorded and not caplog.records
    monkeypatch.setattr(pretraining, "CudaGraphs", lambda: None)
    assert same(graphed, finish(manifest, tmp_path / "b"))


def test_a_killed_run_goes_on_to_the_same_bits(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    trial = spec(manifest, TRIAL, **VALUES)
    folders = [RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")]
    TrainingRun(trial, folders[1], "cuda").advance()
    for folder in folders:
        run = TrainingRun(trial, folder, "cuda")
        while run.advance() is not None:
            pass
    assert numbers(folders[0]) == numbers(folders[1])
