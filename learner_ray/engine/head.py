"""Whether a Ray cluster's head answers at an address. Ray itself is silent for 100 s before it says no."""

from __future__ import annotations

import os
import re
import socket
import threading

from learner_ray.core.errors import UserError

ANSWERS_S = 3.0
"""Seconds to wait for a connection, and again for its first answer."""
NAME_S = 8.0
"""Seconds to wait for both, and for the resolution of a name."""

GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The beginning of HTTP/2, and so of gRPC (RFC 9113, 3.4): a fixed text and empty settings."""
SETTINGS = 4
"""The kind of frame that the other side begins with; it stands in its fourth byte."""


def require_named(address: str | None) -> None:
    """Requires an answer of the cluster that a command line or RAY_ADDRESS names, if any does, before Ray and
    PyTorch are loaded. "local" and "auto" name none.
    """
    named = address or os.environ.get("RAY_ADDRESS")
    if named and named not in ("local", "auto"):
        require(named, f"--address {named}" if address else f"RAY_ADDRESS={named}")


def require(address: str, said: str) -> None:
    """Does nothing where a head answers, within ten seconds.

    Args:
        address: HOST:PORT.
        said: how the user named it, for the message.

    Raises:
        UserError: none answers, or the address is none.
    """
    if address.startswith("ray://"):
        raise UserError(
            f"{said}: a study cannot run through a Ray client: type the command on the cluster's head, or "
            "send it there with --cluster FILE"
        )
    if not _split(address):
        raise UserError(f"{said}: write HOST:PORT, as `ray start --head` prints it, or local")
    if not answers(address):
        raise UserError(
            f"{said}: no Ray cluster answers there: start it, name another, or leave it out; without a "
            "cluster, add --address local"
        )


def answers(address: str) -> bool:
    """Whether something that speaks as a head does answers at HOST:PORT."""
    found = _split(address)
    if not found:
        return False
    heard: list[bool] = []
    # A name's resolution has no time limit of its own.
    asking = threading.Thread(target=lambda: heard.append(_greets(*found)), daemon=True)
    asking.start()
    asking.join(NAME_S)
    return heard == [True]


def _split(address: str) -> tuple[str, int] | None:
    parts = re.fullmatch(r"\[?([\w.:%-]*?[\w.%-])\]?:(\d{1,5})", address, re.ASCII)
    if parts is None or not 0 < int(parts[2]) < 2**16:
        return None
    return parts[1], int(parts[2])


def _greets(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=ANSWERS_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("0", "false", ""):
                return True  # it would only speak under a certificate
            connection.sendall(GREETING)
            with connection.makefile("rb") as heard:
                answer = heard.read(9)
    except (OSError, UnicodeError):  # a name that is none
        return False
    return len(answer) == 9 and answer[3] == SETTINGS
