"""Serves the live view to browsers of this machine and of nobody else.

The page lies below a part of the address that nobody can guess, since other users of the machine may
connect to its loopback interface, and results are closed to them. A request must name that interface as its
host: a page of the internet whose name is made to lead here (DNS rebinding) is refused.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from learner_ray.core.errors import UserError
from learner_ray.watch.look import Look, StudyWatch
from learner_ray.watch.page import policy, render, render_parts

LOOPBACK = "127.0.0.1"
REFRESH_S = 5.0
"""Seconds between two refreshes of a page that is looked at."""
SAME_S = 2.0
"""For so many seconds all browsers are answered by one look."""
TIMES_ITS_DURATION = 100.0
"""Between two looks also passes so many times the processor time of one, so that the view of a study of any
size takes no more than a hundredth of a core."""


class WatchServer(ThreadingHTTPServer):
    """A server of one study's page, on the loopback interface.

    Args:
        study: what is shown.
        port: where it listens; 0 for any free one.

    Raises:
        UserError: the port is taken or not allowed.
    """

    daemon_threads = True

    def __init__(self, study: StudyWatch, port: int = 0) -> None:
        self._study = study
        self._lock = threading.Lock()
        self._due, self._look, self._parts = 0.0, study.look(), ""
        self.secret = secrets.token_urlsafe(12)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(
                f"--port {port} cannot be used ({error}): give another, or none for one that is free"
            ) from error

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.secret}/"

    def look(self) -> tuple[Look, str]:
        """How the study is, and the parts of its page; as they were where that was just now."""
        with self._lock:
            if time.monotonic() >= self._due:
                begun = time.thread_time()
                self._look = self._study.look()
                self._parts = render_parts(self._look)
                took = time.thread_time() - begun
                self._due = time.monotonic() + max(SAME_S, TIMES_ITS_DURATION * took)
            return self._look, self._parts

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a browser that went away is no fault."""


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer
    server_version, sys_version = "learner-ray", ""

    def do_GET(self) -> None:
        """Answers with the page or its parts."""
        pages: dict[str, Callable[[Look, str], str]] = {
            f"/{self.server.secret}/": lambda look, _: render(look, refresh_s=REFRESH_S),
            f"/{self.server.secret}/parts": lambda _, parts: parts,
        }
        if self.headers.get("Host", "") not in self._names():
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "This page is shown to browsers of its own machine.")
        elif self.path not in pages:
            self._send(HTTPStatus.NOT_FOUND, "Open the whole address that the command printed.")
        else:
            try:
                text = pages[self.path](*self.server.look())
            except (UserError, OSError) as error:
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, f"The study cannot be read now: {error}")
            else:
                self._send(HTTPStatus.OK, text, "text/html")

    def _names(self) -> set[str]:
        return {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": f"{policy(live=True)}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs no request."""
