"""A plan's hours are those of the devices that would train, and it says which one was timed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from learner_ray.core.errors import PlaceError, UserError
from learner_ray.engine import pace
from learner_ray.engine.connection import Devices
from learner_ray.run.throughput import Throughput
from learner_ray.training import throughput
from tests.training.test_run import TRIAL, spec

HERE = Devices(local=True, cpus=2, gpus=0, precision="float32")
CLUSTER = replace(HERE, local=False)
H100, T4 = ({"GPU": 8.0, f"accelerator_type:{name}": 1.0} for name in ("H100", "T4"))


def process_that_measures(_: object) -> Throughput:
    return Throughput(train_per_scan=1, evaluate_per_scan=1, device=str(os.getpid()))


def test_a_laptop_is_timed_in_this_process_without_ray(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "measure_throughput", process_that_measures)
    monkeypatch.setattr(pace.ray, "remote", None)
    assert pace._measure(spec(manifest, TRIAL), HERE).device == str(os.getpid())
    assert pace.devices_not_timed(HERE) == ""


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_a_cluster_is_timed_in_a_process_that_ray_places(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "measure_throughput", lambda _: process_that_measures(_))
    assert pace._measure(spec(manifest, TRIAL), CLUSTER).device != str(os.getpid())


@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_no_free_gpu_is_told_and_so_is_training_that_fails(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> None:
        def measure(_: object) -> None:
            raise error

        monkeypatch.setattr(throughput, "measure_throughput", measure)

    trial = spec(manifest, TRIAL)
    with pytest.raises(UserError, match="no GPU of the cluster was free"):
        pace.measure_on_cluster(trial, replace(CLUSTER, gpus=1), wait_s=0.5)
    fail(UserError("weights.pt is missing"))
    with pytest.raises(UserError, match=r"^weights.pt is missing$"):
        pace.measure_on_cluster(trial, CLUSTER)
    fail(RuntimeError("out of memory"))
    with pytest.raises(PlaceError, match=r"timed failed: .*out of memory"):
        pace.measure_on_cluster(trial, CLUSTER)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """The resources of the nodes that are up, to be filled."""
    up: list[dict[str, float]] = []
    monkeypatch.setattr(pace.ray, "nodes", lambda: [{"Alive": True, "Resources": found} for found in up])
    total = {"GPU": 16.0}
    monkeypatch.setattr(pace.ray, "cluster_resources", lambda: total)
    return up


def test_what_was_not_timed_is_said(nodes: list[dict[str, float]]) -> None:
    nodes += [{"CPU": 4.0}, H100, H100]
    assert pace.devices_not_timed(replace(CLUSTER, gpus=16)) == ""
    assert "16 of up to 24 GPUs are up" in pace.devices_not_timed(replace(CLUSTER, gpus=24))
    nodes.append(T4)
    assert "several types are up (H100, T4)" in pace.devices_not_timed(replace(CLUSTER, gpus=16))
