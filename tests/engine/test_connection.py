"""A study joins the cluster that `ray start` made this machine part of, and no other."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import AutoscalingCluster

from learner_ray.engine.connection import find_devices, start_local

FIND = """
from learner_ray.engine.connection import find_devices
print(find_devices(None, None, "results").local)
"""


@pytest.fixture
def address_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where `ray start` would write its head's address."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with tempfile.TemporaryDirectory() as short:  # Ray's sockets lie below it, and their paths must be short
        monkeypatch.setenv("RAY_TMPDIR", short)
        (Path(short) / "ray").mkdir()
        yield Path(short) / "ray" / "ray_current_cluster"


def test_a_cluster_that_is_gone_is_not_waited_for(address_file: Path, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address_file.write_text(f"127.0.0.1:{closed.getsockname()[1]}")
        start = time.monotonic()
        assert find_devices(None, None, str(tmp_path / "results")).local
        assert time.monotonic() - start < 10, "Ray itself waits half a minute"


@pytest.mark.slow
@pytest.mark.usefixtures("address_file")
def test_another_studys_private_ray_is_not_joined() -> None:
    start_local(1)
    try:
        found = subprocess.run(
            [sys.executable, "-c", FIND], capture_output=True, text=True, check=True, timeout=120
        )
    finally:
        ray.shutdown()
    assert found.stdout.strip() == "True"


AUTOSCALED = """
from learner_ray.engine.connection import find_devices
devices = find_devices("auto", None, "results/lus")
print(devices, devices.slots)
"""


@pytest.mark.slow
def test_a_head_with_no_gpu_up_asks_its_autoscaler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Ray's own autoscaler, whose nodes are processes here and say that they have a GPU."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    gpu = {"resources": {"CPU": 1, "GPU": 1, "object_store_memory": 10**8}, "node_config": {}}
    cluster = AutoscalingCluster(
        head_resources={"CPU": 1}, worker_node_types={"gpu": gpu | {"min_workers": 0, "max_workers": 3}}
    )
    cluster.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", AUTOSCALED], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    finally:
        cluster.shutdown()
    assert "asking for one of up to 3 GPUs" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1].endswith("3 GPUs) 3")
