"""Ray on one node of a Slurm job: ``slurm.sh`` runs this on all of them, until its standard input ends."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

HEAD_S = 300.0
"""Seconds for which the job waits for its head, which may have a slow disk or prologue."""
END_S = 5.0
"""Seconds for which Ray may end by itself."""
OBJECT_STORE_BYTES = 200 * 2**20
"""Enough for Tune's messages: pixels are mapped from the cache's file, never sent through Ray."""
LAST_LINES = 15


class RayError(Exception):
    """Ray does not start on this node; says why."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; on a shared node Ray's usual ones may be another user's."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def open_files() -> None:
    """Allows this process, and those it starts, as many open files as there may be."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def start_command(address: str, head: bool) -> list[str]:
    """``ray start`` for this node.

    Args:
        address: HOST:PORT of the head.
        head: whether this node is the head, which also holds the ``driver`` resource and the dashboard.
    """
    host, port = address.rsplit(":", 1)
    agent, dashboard, client = free_ports(3)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    command += [f"--object-store-memory={OBJECT_STORE_BYTES}", f"--dashboard-agent-listen-port={agent}"]
    command += ["--min-worker-port=0", "--max-worker-port=0"]  # any that is free
    if "SLURM_CPUS_ON_NODE" in os.environ:  # Ray would count those of other jobs, too
        command.append(f"--num-cpus={os.environ['SLURM_CPUS_ON_NODE']}")
    if not head:
        return [*command, f"--address={address}"]
    command += ["--head", f"--node-ip-address={host}", f"--port={port}", '--resources={"driver": 100}']
    command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    return [*command, f"--ray-client-server-port={client}"]


def own_folder() -> Path:
    """The folder of Ray's own files on this node, as ``RAY_TMPDIR`` names it.

    Raises:
        RayError: it cannot be made, or belongs to somebody else.
    """
    folder = Path(os.environ["RAY_TMPDIR"])
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise RayError(f"{folder} belongs to somebody else")
        (folder / "ray").mkdir(exist_ok=True)
    except OSError as error:
        raise RayError(f"{error.filename}: {error.strerror}") from error
    return folder


def run_until_told(command: list[str], log: Path) -> None:
    """Runs Ray until this process's standard input ends, which the job holds, and ends it.

    Raises:
        RayError: Ray has ended before.
    """
    with log.open("w") as said:
        ray = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    try:
        while ray.poll() is None:
            if select.select([sys.stdin], [], [], 0.5)[0] and not os.read(0, 4096):
                return
        raise RayError("\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:]))
    finally:
        end(ray)


def end(ray: subprocess.Popen[bytes]) -> None:
    """Ends a process and those it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(ray.pid, number)
        with suppress(subprocess.TimeoutExpired):
            ray.wait(timeout=END_S)


def main(arguments: list[str]) -> int:
    """Runs Ray on this node; returns the exit code.

    Args:
        arguments: HOST:PORT of the head, and ``--head`` on the head itself.
    """
    # Ray must end with us, and its folder with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    open_files()
    folder = None
    try:
        folder = own_folder()
        run_until_told(start_command(arguments[0], "--head" in arguments), folder / "start.log")
    except RayError as error:
        print(f"{os.environ['SLURMD_NODENAME']}: Ray does not run here: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
