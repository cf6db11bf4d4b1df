"""A study joins the cluster that `ray start` made this machine part of, and no other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from benchmarks.processes import tree
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
import sys
from learner_ray.engine.connection import find_devices
devices = find_devices(sys.argv[1], None, "results/lus")
print(devices, devices.slots)
"""


@pytest.fixture
def autoscaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A head with Ray's own autoscaler, whose nodes are processes here that say to have a GPU."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    small = {"object_store_memory": 10**8}
    types = {
        "head": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
        "gpu": {"resources": {"CPU": 1, "GPU": 1, **small}, "node_config": {}, "max_workers": 3},
    }
    config = {
        "cluster_name": "fake",
        "max_workers": 3,
        "provider": {"type": "fake_multinode"},
        "available_node_types": types,
        "head_node_type": "head",
    }
    (tmp_path / "autoscaler.json").write_text(json.dumps(config))
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += ["--num-cpus=1", "--object-store-memory=100000000", "--include-dashboard=false"]
    command += [f"--autoscaling-config={tmp_path / 'autoscaler.json'}", "--disable-usage-stats"]
    fake = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    with tempfile.TemporaryDirectory() as short, (tmp_path / "head.txt").open("w") as said:
        command.append(f"--temp-dir={short}")
        head = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | fake)
        yield f"127.0.0.1:{port}"
        for process in set(tree(head.pid)):
            os.kill(process, signal.SIGKILL)
        head.wait()


@pytest.mark.slow
def test_a_head_with_no_gpu_up_asks_its_autoscaler(autoscaled: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", AUTOSCALED, autoscaled]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "asking for one of up to 3 GPUs" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1].endswith("3 GPUs) 3")
