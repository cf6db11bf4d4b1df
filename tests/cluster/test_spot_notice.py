"""The node's agent, against a metadata service on this machine that answers as the cloud's does."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cluster import spot_notice
from tests.cluster.files import load


class Metadata(BaseHTTPRequestHandler):
    """Both clouds' pages; the end is announced once ``server.announced`` is set."""

    def do_PUT(self):
        asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "60"
        self.answer("secret" if asked and self.path == "/latest/api/token" else None)

    def do_GET(self):
        announced = self.server.announced
        if self.path == "/latest/meta-data/spot/instance-action":
            if self.headers.get("X-aws-ec2-metadata-token") != "secret":
                self.answer(None, status=401)
            else:
                self.answer('{"action": "terminate", "time": "2026-01-01T00:00:00Z"}' if announced else None)
        elif (
            self.path == "/computeMetadata/v1/instance/preempted"
            and self.headers["Metadata-Flavor"] == "Google"
        ):
            self.answer("TRUE" if announced else "FALSE")
        else:
            self.answer(None)

    def answer(self, text, status=404):
        self.send_response(status if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    server.announced = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_notice_is_seen_when_it_comes_and_not_before(service, cloud):
    notice, url = spot_notice.NOTICES[cloud], f"http://127.0.0.1:{service.server_port}"
    assert not notice(url)
    service.announced = True
    assert notice(url)


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_service_that_does_not_answer_is_no_notice(service, cloud):
    url = f"http://127.0.0.1:{service.server_port}"
    service.shutdown()
    service.server_close()
    assert not spot_notice.NOTICES[cloud](url)


@pytest.mark.parametrize(("cloud", "name"), [("aws", "gpu.yaml"), ("gcp", "gcp.yaml")])
def test_every_spot_node_listens_and_the_head_does_not(cloud, name):
    config = load(name)
    (line,) = [c for c in config["worker_start_ray_commands"] if f"cluster.spot_notice {cloud} " in c]
    assert line.endswith("&") and config["worker_start_ray_commands"][-1] == line
    assert not any("spot_notice" in command for command in config["head_start_ray_commands"])
