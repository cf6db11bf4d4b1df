"""The side of the decoders that may die: a process that loads the readers once, and copies of it (fork) that
decode scans, each with a socket of its own.

What a damaged file does to a decoder written in C, a crash, a loop without end or all memory taken, so ends a
copy, and costs one scan. Answers are JSON and bare pixels, which cannot carry code back.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

NUMBER = struct.Struct("!q")
"""How whole numbers travel: a process id, the exit code of a process, the length of a message."""
HEADERS, PIXELS = -1, -2
"""What asks for one more copy, to read headers alone, or pixels, too, which needs PyTorch. Any other number
is the id of a copy that has died, and asks for its exit code."""
BEGUN = b"+"
"""What a decoder sends when it takes up a request: who dies before has not died of the scan."""

_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_SPARE_BYTES = 1 << 30
_COPIES = 6
"""How often a reader may hold a scan's values in memory at a time."""


Answer = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes | memoryview]]


def main() -> None:
    """Makes copies as asked for on the socket that the first argument numbers, until its other end closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # who started this process answers them
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while True:
            message, received, _, _ = socket.recv_fds(control, NUMBER.size, 1)
            if not message:
                return
            (asked,) = NUMBER.unpack(message)
            if asked in (HEADERS, PIXELS):
                control.sendall(NUMBER.pack(_copy(received[0], control, _load(asked))))
                os.close(received[0])
            else:
                control.sendall(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1])))


def _load(kind: int) -> Answer:
    """The function that answers; what it needs is loaded before the copy is made, once for all copies."""
    if kind == PIXELS:
        import torch

        import learner_ray.imaging.reader  # noqa: F401

        torch.set_num_threads(1)
    from learner_ray.imaging.decoding import answer

    return answer


def _copy(handle: int, control: socket.socket, answer: Answer) -> int:
    """Makes a copy of this process that answers on a socket; its process id."""
    parent = os.getpid()
    copy = os.fork()
    if copy:
        return copy
    try:
        control.close()
        _give_way(parent)
        with socket.socket(fileno=handle) as asked:
            while message := receive(asked):
                asked.sendall(BEGUN)
                request = json.loads(message)
                with suppress(OSError):  # gone or closed: only absolute paths are found from it
                    os.chdir(request["folder"])
                _limit_memory(request["most_gb"])
                told, frames = answer(request)
                send(asked, json.dumps(told).encode())
                asked.sendall(frames)
    finally:
        os._exit(0)


def _give_way(parent: int) -> None:
    """Lets this process die with its parent, before any other where memory runs out, silently, and without a
    copy of its memory on the disk, which would hold a patient's pixels."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)


def _limit_memory(most_gb: float | None) -> None:
    """Makes what is asked for beyond the copies of a scan that readers need an error at once."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = resource.RLIM_INFINITY if most_gb is None else int(_SPARE_BYTES + _COPIES * most_gb * 1e9)
    if hard != resource.RLIM_INFINITY:
        most = hard if most == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def send(to: socket.socket, message: bytes) -> None:
    """Sends a message after its length."""
    to.sendall(NUMBER.pack(len(message)) + message)


def receive(by: socket.socket) -> bytes:
    """A message, without its length; empty where the other end has closed.

    Raises:
        TimeoutError: it does not come within the time of the socket.
    """
    length = receive_bytes(by, NUMBER.size)
    return bytes(receive_bytes(by, NUMBER.unpack(length)[0])) if length else b""


def receive_bytes(by: socket.socket, count: int) -> bytearray:
    """So many bytes; none where the other end closes before the last.

    Raises:
        TimeoutError: they do not come within the time of the socket.
    """
    held = bytearray(count)
    room = memoryview(held)
    while room:
        try:
            got = by.recv_into(room)
        except ConnectionError:  # it was killed while it was writing
            got = 0
        if not got:
            return bytearray()
        room = room[got:]
    return held
