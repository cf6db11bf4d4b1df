"""A cluster that does not answer is said so within ten seconds; Ray alone takes a hundred."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from learner_ray.core.errors import UserError
from learner_ray.engine import head
from learner_ray.engine.cluster_file import MOST_GPUS, launchable
from learner_ray.engine.connection import find_devices
from tests.ray_head import free_address
from tests.small_sweep import GUARD_S

WITHIN_S = 10.0


def silent() -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def web() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def gone() -> Iterator[str]:
    yield free_address()


def unknown() -> Iterator[str]:
    yield "no-such-host.invalid:6379"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process has joined nothing, though others of this run of tests may have."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    return monkeypatch


@pytest.mark.parametrize("server", [gone, pytest.param(silent, marks=pytest.mark.long), web, unknown])
def test_what_is_no_cluster_is_told_in_time(
    server: Callable[[], Iterator[str]], alone: pytest.MonkeyPatch
) -> None:
    for address in server():
        alone.setenv("RAY_ADDRESS", address)
        for typed, said in ((address, "--address "), (None, "RAY_ADDRESS=")):
            start = time.monotonic()
            with pytest.raises(UserError, match=f"{said}{address}: no Ray cluster answers there"):
                find_devices(typed, None, "results/lus")
            assert time.monotonic() - start < WITHIN_S


@pytest.mark.parametrize(
    "address", ["::::", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:0", "h:x", "my cluster"]
)
def test_what_is_no_address_is_refused(address: str, alone: pytest.MonkeyPatch) -> None:
    alone.setenv("RAY_ADDRESS", address)
    for typed in (address, None):
        with pytest.raises(UserError, match="HOST:PORT"):
            find_devices(typed, None, "results/lus")


def test_a_ray_client_is_refused(alone: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="Ray client"):
        find_devices("ray://127.0.0.1:10001", None, "results/lus")


def test_auto_is_the_cluster_of_this_machine_and_refused_without_one(
    alone: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone.setenv("RAY_TMPDIR", str(tmp_path))
    alone.setenv("RAY_ADDRESS", "auto")
    for typed in ("auto", None):
        with pytest.raises(UserError, match="auto: no Ray cluster runs on this machine"):
            find_devices(typed, None, "results/lus")


@pytest.mark.ray
def test_a_head_answers(ray_address: str) -> None:
    until = time.monotonic() + GUARD_S
    while not head.answers(ray_address):  # it may still be starting
        assert time.monotonic() < until


def test_how_many_gpus_an_autoscaler_may_bring_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("many", "-1", ""):
        monkeypatch.setenv(MOST_GPUS, value)
        with pytest.raises(UserError, match=MOST_GPUS):
            launchable("GPU")
