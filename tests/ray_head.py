"""Ray clusters of one node, as ``ray start`` makes them: one for the whole run of tests, and others for tests
about starting, tokens or killing.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.processes import end, tree
from learner_ray.core.locks import locked_file

SHARED = "ray-head.json"
"""In the folder of a run of tests: the address of its head, and the process that keeps it."""
CPUS = 6
"""That the shared head tells Ray of: two workers of pytest-xdist must never wait for each other's."""
ENDS_S = 20.0


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def head(address: str, *options: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """A head with these options of ``ray start``, while the context lasts; it is not waited for.

    To be joined by processes of their own: Ray asks only once per process whether it needs a token.
    """
    host, port = address.split(":")
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *options]
    command += [f"--node-ip-address={host}", f"--port={port}"]
    command += ["--object-store-memory=100000000", "--include-dashboard=false"]
    env = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"} | dict(env or {})
    with tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as short:  # Ray's sockets lie below it, and their paths must be short
        command.append(f"--temp-dir={short}")
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        try:
            yield
        finally:
            end(set(tree(started.pid)))
            started.wait()


def asked_of_autoscaler(address: str) -> list[str]:
    """What a head's autoscaler is asked for by placement groups that wait for nodes."""
    from ray._raylet import GcsClient
    from ray.autoscaler.v2.sdk import get_cluster_resource_state

    state = get_cluster_resource_state(GcsClient(address=address))
    return [str(group) for group in state.pending_gang_resource_requests]


def shared_address(folder: Path, owner: int) -> str:
    """The address of the run's one head, which the first who asks has started.

    Args:
        folder: of this run of tests, the same for all its workers.
        owner: process of the run; the head ends with it, however it ends.
    """
    found = folder / SHARED
    with locked_file(folder / f"{SHARED}.lock"):
        if not found.exists():
            address = free_address()
            command = [sys.executable, "-m", "tests.ray_head", address, str(owner)]
            keeper = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            found.write_text(json.dumps({"address": address, "keeper": keeper.pid}))
    return str(json.loads(found.read_text())["address"])


def end_shared(folder: Path) -> None:
    """Ends the run's head, if one was started."""
    found = folder / SHARED
    if not found.exists():
        return
    keeper = int(json.loads(found.read_text())["keeper"])
    with suppress(ProcessLookupError):
        os.kill(keeper, signal.SIGTERM)
    until = time.monotonic() + ENDS_S
    while _runs(keeper) and time.monotonic() < until:
        time.sleep(0.02)
    end(set(tree(keeper)))


def _runs(process: int) -> bool:
    """Whether there is such a process, and it is more than an exit code that nobody has asked for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    with head(sys.argv[1], f"--num-cpus={CPUS}"):
        while Path(f"/proc/{sys.argv[2]}").exists():
            time.sleep(0.5)
