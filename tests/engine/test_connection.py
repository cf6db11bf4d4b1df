"""A study joins the cluster that `ray start` made this machine part of, and no other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from learner_ray.core.errors import PlaceError, UserError
from learner_ray.engine import connection
from learner_ray.engine.connection import find_devices, left_as_found, start_local
from tests.engine.fake_cloud import GPU, SPOT, autoscaled_head
from tests.small_sweep import GUARD_S

FIND = "from learner_ray.engine import connection; print(connection._started_here())"
BESIDE_ANOTHER = f"""
import subprocess, sys
from learner_ray.engine.head import answers
from learner_ray.engine.connection import start_local
start_local(1)
subprocess.run([sys.executable, "-c", {FIND!r}], check=True)
"""


@pytest.fixture
def address_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where `ray start` would write its head's address."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as short:  # Ray's sockets lie below it, and their paths must be short
        monkeypatch.setenv("RAY_TMPDIR", short)
        (Path(short) / "ray").mkdir()
        yield Path(short) / "ray" / "ray_current_cluster"


def test_a_cluster_that_is_gone_is_not_waited_for(address_file: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address_file.write_text(f"127.0.0.1:{closed.getsockname()[1]}")
        start = time.monotonic()
        assert connection._started_here() is None
        assert time.monotonic() - start < 10, "Ray itself waits half a minute"


@pytest.mark.long
@pytest.mark.usefixtures("address_file")
def test_another_studys_private_ray_is_not_joined() -> None:
    line = [sys.executable, "-c", BESIDE_ANOTHER]
    found = subprocess.run(line, capture_output=True, text=True, check=True, timeout=GUARD_S)
    assert found.stdout.strip() == "None"


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_a_process_that_has_joined_a_cluster_stays_there(tmp_path: Path) -> None:
    out = str(tmp_path / "results")
    with left_as_found():
        assert not find_devices(None, None, out).local
    assert ray.is_initialized()
    with pytest.raises(UserError, match="has joined Ray already"):
        find_devices("local", None, out)


AUTOSCALED = """
import sys
from learner_ray.cli.command import shown_messages
from learner_ray.engine.head import answers
from learner_ray.engine.connection import find_devices, with_a_gpu
with shown_messages("stdout"):
    devices = find_devices(sys.argv[1], None, "results/lus")
    print(devices, devices.none_up)
    devices = with_a_gpu(devices, None, "results/lus")
print(devices, devices.none_up, devices.slots)
"""


@pytest.fixture
def autoscaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A head with Ray's own autoscaler, whose nodes are processes here that say to have a GPU."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with autoscaled_head(tmp_path, 3, {SPOT: (GPU, 8)}) as address:
        yield address


@pytest.mark.long
def test_a_head_with_no_gpu_up_asks_its_autoscaler(autoscaled: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", AUTOSCALED, autoscaled]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    found, *asked, brought = done.stdout.splitlines()
    assert found.endswith("(up to 3 CPU, 3 GPU) True"), done.stderr
    assert "asking for one of up to 3 GPUs" in asked[0]
    assert brought.endswith("(up to 3 CPU, 3 GPU) False 3")


STARTS = """
import os, sys
import ray
from learner_ray.cli.command import shown_messages
from learner_ray.engine.head import answers
from learner_ray.engine.connection import left_as_found, start_local
with left_as_found(), shown_messages("stdout"):
    start_local(1)
    ray.get(ray.remote(lambda: None).remote())
print(os.listdir(os.environ["RAY_TMPDIR"] + "/ray"))
"""


@pytest.mark.long
def test_ray_starts_where_the_temporary_folder_is_too_long_for_its_sockets(tmp_path: Path) -> None:
    long = tmp_path / ("t" * 100)
    long.mkdir()
    command, env = [sys.executable, "-c", STARTS], os.environ | {"RAY_TMPDIR": str(long)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=GUARD_S, check=False)
    said, inside = done.stdout.splitlines()
    short = Path(said.split()[-1])
    assert "too long a path" in said and inside == "[]" and short.name.startswith("learner-ray-")
    assert not short.exists()


DOES_NOT_START = """
from learner_ray.core.errors import PlaceError
from learner_ray.engine.connection import start_local
try:
    start_local(1)
except PlaceError as error:
    print(error)
"""


@pytest.mark.long
@pytest.mark.usefixtures("address_file")
def test_a_ray_whose_own_packages_are_broken_is_a_fault_of_the_place(tmp_path: Path) -> None:
    """Its agent ends as it begins, and Ray gives up with a plain Exception."""
    (tmp_path / "opencensus").mkdir()
    (tmp_path / "opencensus" / "__init__.py").write_text("raise ImportError('a package that is lacking')\n")
    command, env = [sys.executable, "-c", DOES_NOT_START], os.environ | {"PYTHONPATH": f"{tmp_path}:."}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ray does not start on this machine (")


def test_a_short_folder_is_rays_own_and_one_that_is_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="lr", ignore_cleanup_errors=True) as short:
        monkeypatch.setenv("RAY_TMPDIR", short)
        assert connection._short_folder() == {}
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "taken"))
    with pytest.raises(UserError, match=f"{tmp_path}/taken.*RAY_TMPDIR"):
        connection._short_folder()


@pytest.mark.parametrize("start", [lambda: start_local(1), lambda: connection._joined("127.0.0.1:6379")])
def test_whatever_ray_raises_at_its_start_is_told_in_a_sentence(
    start: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It raises Exception itself in both: a node that timed out, a head without a raylet."""

    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nMore.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connection.head, "require", lambda *_: None)
    with pytest.raises((UserError, PlaceError), match=r"\(The current node timed out during startup\.\)"):
        start()
