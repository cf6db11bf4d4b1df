"""The decoders of this process: copies of one process that it starts (``decoder_process``).

They live while :func:`running` lasts. Loads neither PyTorch nor a reader.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from learner_ray.core.child import child_command, child_environment
from learner_ray.core.errors import PlaceError
from learner_ray.imaging.decoder_process import BEGUN, NUMBER, PIXELS, receive, receive_bytes, send

TIME_LIMIT_S = 1800.0
"""Seconds that a scan may take: the longest clips take minutes, on a busy machine."""

_MODULE = "learner_ray.imaging.decoder_process"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A process that has other threads cannot be copied safely; and there is a decoder for each core."""


@contextmanager
def running() -> Iterator[None]:
    """Keeps the decoders from one scan to the next; those who leave last end them."""
    with _lock:
        _users.append(None)
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            if not _users:
                _end()


def abandon() -> None:
    """Kills the decoders that are at work; who waits for one learns that it died."""
    with _lock:
        for decoder in _busy:
            decoder.kill()


def ask(kind: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
    """What a decoder answers (``decoding.answer``), and the bytes of its frames; where it dies or stands
    still, the fields of a ``ScanError``.

    Raises:
        PlaceError: there can be no decoder.
    """
    with running():
        while True:
            decoder = _take(kind)
            decoder.socket.settimeout(TIME_LIMIT_S)
            begun = time.monotonic()
            try:
                decoder.at_work = _begins(decoder.socket, request)
                answer = _answer(decoder.socket) if decoder.at_work else None
            except TimeoutError:
                _died(decoder)
                reason = _stopped(time.monotonic() - begun)
            except BaseException:
                _died(decoder)
                raise
            else:
                if answer:
                    _give_back(decoder)
                    return answer
                code = _died(decoder)
                if not decoder.at_work and not decoder.is_new:
                    continue  # it has died since its last scan, as where memory runs out: not of this one
                reason = _death(code)
            return {"path": request["files"][0], "reason": reason, "may_pass": True}, bytearray()


def _begins(decoder: socket.socket, request: dict[str, Any]) -> bool:
    """Asks a decoder, and says whether it has taken up the request."""
    with suppress(ConnectionError):
        send(decoder, json.dumps(request).encode())
    return receive_bytes(decoder, len(BEGUN)) == BEGUN


def _answer(decoder: socket.socket) -> tuple[dict[str, Any], bytearray] | None:
    """A decoder's answer; None where it dies before it is complete."""
    answer = receive(decoder)
    if not answer:
        return None
    told = json.loads(answer)
    frames = receive_bytes(decoder, told.get("bytes", 0))
    return (told, frames) if len(frames) == told.get("bytes", 0) else None


def _stopped(seconds: float) -> str:
    return f"was not decoded (within {seconds / 60:.0f} minutes); it is damaged, or far too long"


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was not decoded (its decoder was killed, as happens where memory runs out); it may be damaged"
    with suppress(ValueError):
        return f"ended its decoder ({signal.Signals(-code).name}); it is damaged"
    return f"ended its decoder (exit code {code}); it is damaged"


@dataclass(eq=False)
class _Decoder:
    """A process that decodes, and the socket on which it is asked."""

    kind: int
    process: int
    socket: socket.socket
    is_new: bool = True
    """Whether it has read no scan yet."""
    at_work: bool = False
    """Whether it has taken up a request, and not answered yet."""

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)


class _Source:
    """The process of which decoders are copies."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed by end
        with theirs:
            self._process = subprocess.Popen(
                [*child_command(_MODULE), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
                env=child_environment() | _ONE_THREAD,
            )
        self._asking = threading.Lock()

    def ask(self, number: int, handles: Sequence[int] = ()) -> int:
        """Asks for a copy, or for the exit code of one (``decoder_process``).

        Raises:
            PlaceError: the process has ended.
        """
        with self._asking:
            with suppress(ConnectionError):
                socket.send_fds(self._control, [NUMBER.pack(number)], handles)
            answer = receive_bytes(self._control, NUMBER.size)
        if not answer:
            raise PlaceError(f"the process that decodes scans has ended ({self._last_words()})")
        return int(NUMBER.unpack(answer)[0])

    def _last_words(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {code}"

    def end(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._said.close()


_lock = threading.RLock()
_users: list[None] = []
_sources: list[_Source] = []
"""The one source, or none."""
_idle: list[_Decoder] = []
_busy: list[_Decoder] = []


def _take(kind: int) -> _Decoder:
    """A decoder that is idle, or a new one. One that reads pixels reads headers, too."""
    with _lock:
        if not _sources:
            _sources.append(_Source())
        able = [decoder for decoder in _idle if decoder.kind in (kind, PIXELS)]
        if able:
            _idle.remove(decoder := able[-1])
        else:
            ours, theirs = socket.socketpair()
            with theirs:
                decoder = _Decoder(kind, _sources[0].ask(kind, [theirs.fileno()]), ours)
        _busy.append(decoder)
        return decoder


def _give_back(decoder: _Decoder) -> None:
    decoder.is_new = decoder.at_work = False
    with _lock:
        _busy.remove(decoder)
        _idle.append(decoder)


def _died(decoder: _Decoder) -> int:
    """Ends a decoder, where it has not died by itself, and its exit code: that of a signal is below 0."""
    decoder.socket.close()
    decoder.kill()
    with _lock:
        _busy.remove(decoder)
        return _sources[0].ask(decoder.process)


def _end() -> None:
    for decoder in _idle:
        decoder.socket.close()
    _idle.clear()
    while _sources:
        _sources.pop().end()
