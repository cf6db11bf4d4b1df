"""Ray's cluster launcher, as a laptop uses it: its commands, and a way to the head through its ssh."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import yaml
from ray.job_submission import JobSubmissionClient

from learner_ray.core.errors import UserError

JOB_PORT = 8265
"""Port of the dashboard and the job API, which answer on the head's own address alone."""

CONNECT_S = 150.0
"""Seconds to wait for the tunnel; the launcher's ssh waits 120 for a host."""

RAY_COMMAND = "from importlib.metadata import distribution as d; d('ray').entry_points['ray'].load()()"
"""Python for the command ``ray``, wherever this Python keeps its scripts and Ray its modules."""


def cluster_name(file: Path) -> str:
    """The name that a cluster file gives its cluster.

    Raises:
        UserError: it is no cluster file.
    """
    return str(_cluster_file(file)["cluster_name"])


def price_per_hour(file: Path) -> float | None:
    """The price of a device for an hour that a cluster file names, as ``price_per_hour`` below ``provider``,
    where Ray takes keys that it does not know; None where it names none.

    Raises:
        UserError: it is no cluster file, or the price is no number above zero.
    """
    price = _cluster_file(file)["provider"].get("price_per_hour")
    if price is None:
        return None
    if not isinstance(price, int | float) or isinstance(price, bool) or not 0 < price < math.inf:
        raise UserError(
            f"{file}: provider.price_per_hour is {price!r}: give a number above 0, or leave it out"
        )
    return float(price)


def _cluster_file(file: Path) -> dict[str, Any]:
    """The content of a cluster file, which has a name and a provider."""
    whole = "give a file as `ray up` takes it; see cluster/README.md"
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--cluster {file}: {error.strerror}; {whole}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--cluster {file} is no YAML ({' '.join(str(error).split())}); {whole}") from error
    name = config.get("cluster_name") if isinstance(config, dict) else None
    if not isinstance(name, str) or not isinstance(config.get("provider"), dict):
        raise UserError(f"--cluster {file} lacks cluster_name or provider; {whole}")
    return dict(config)


@contextmanager
def tunnel(cluster: Path) -> Iterator[JobSubmissionClient]:
    """The head's job API through ssh, as the launcher opens it.

    Raises:
        UserError: the launcher finds no head, or nothing answers there.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not `ray exec -p`: it takes the same port at both ends, and the laptop's may be another cluster's.
    code = (
        "from ray.autoscaler.sdk import run_on_cluster as run; "
        f"run({str(cluster)!r}, cmd='sleep infinity', port_forward=[({port}, {JOB_PORT})])"
    )
    with tempfile.TemporaryFile("w+") as said:
        # A session of its own: Ctrl-C is for us alone, and ssh ends with its group.
        ssh = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield connected(ssh, port, said)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(ssh.pid, signal.SIGTERM)
            ssh.wait()


def connected(ssh: subprocess.Popen[bytes], port: int, said: IO[str]) -> JobSubmissionClient:
    """Waits for the tunnel, and for the head to answer through it."""
    for _ in range(int(CONNECT_S * 2)):
        if ssh.poll() is not None:
            said.seek(0)
            raise UserError(f"no way to its head ({last_words(said.read())}): start it with `ray up`")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return JobSubmissionClient(f"http://127.0.0.1:{port}")
        time.sleep(0.5)
    raise UserError(f"its head has not answered for {CONNECT_S:.0f} s: look at it with `ray attach`")


def run_launcher(verb: str, cluster: Path, *words: str) -> None:
    """Runs one of the launcher's commands, such as ``ray exec``, without showing its output.

    Raises:
        UserError: it failed.
    """
    command = [sys.executable, "-c", RAY_COMMAND, verb, str(cluster), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"`ray {verb} {cluster}` failed: {last_words(done.stdout + done.stderr)}")


def last_words(text: str) -> str:
    """The last line of a text that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
