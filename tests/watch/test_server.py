"""Only browsers of this machine that know the address see the page."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.watch.look import StudyWatch
from learner_ray.watch.server import LOOPBACK, WatchServer
from tests.watch.watched_study import watched_study


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WatchServer]:
    watched_study(tmp_path / "lus", 5)
    with WatchServer(StudyWatch(tmp_path / "lus", "lus")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def asked(server: WatchServer, path: str, host: str = "") -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(LOOPBACK, server.server_port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or f"{LOOPBACK}:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_the_page_and_its_parts_are_served_under_a_strict_policy(server: WatchServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    for path in ("", "parts"):
        status, text, headers = asked(server, f"/{server.secret}/{path}")
        assert status == 200 and 'data-part="arms"' in text
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1.evil.example:{port}"]
)
def test_another_host_s_name_is_refused(server: WatchServer, host: str) -> None:
    """A page of the internet can make its name lead to this machine (DNS rebinding)."""
    status, text, _ = asked(server, f"/{server.secret}/", host.format(port=server.server_port))
    assert status == 421 and "mse" not in text


@pytest.mark.parametrize("path", ["/", "/parts", "/wrong/", "/../etc/passwd"])
def test_who_does_not_know_the_address_sees_nothing(server: WatchServer, path: str) -> None:
    status, text, _ = asked(server, path)
    assert status == 404 and "mse" not in text and server.secret not in text


def test_a_study_that_cannot_be_read_for_a_moment_ends_no_server(server: WatchServer, tmp_path: Path) -> None:
    study = tmp_path / "lus" / "study.json"
    content = study.read_text()
    study.write_text("{")
    assert asked(server, f"/{server.secret}/")[0] == 503
    study.write_text(content)
    assert asked(server, f"/{server.secret}/")[0] == 200


def test_a_port_that_is_taken_is_named(server: WatchServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--port {server.server_port}"):
        WatchServer(StudyWatch(tmp_path / "lus", "lus"), server.server_port)
