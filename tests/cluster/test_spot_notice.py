"""The node's agent, against a metadata service on this machine that answers as the cloud's does."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer

import pytest

from cluster import spot_notice
from tests.cluster.files import load
from tests.cluster.metadata import Metadata


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
