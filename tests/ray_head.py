"""A Ray cluster of one node, as ``ray start`` makes it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import end, tree


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
    with tempfile.TemporaryDirectory() as short:  # Ray's sockets lie below it, and their paths must be short
        command.append(f"--temp-dir={short}")
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        yield
        end(set(tree(started.pid)))
        started.wait()
