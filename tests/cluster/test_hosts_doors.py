"""What a cluster's hosts answer to whom."""

from __future__ import annotations

from tests.cluster.hosts import NEEDS_HOSTS, address

pytestmark = NEEDS_HOSTS

ANSWERS = """
import urllib.error, urllib.request
from pathlib import Path
def status(host, token):
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://{host}:8265/api/jobs/", headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return "refused"
token = (Path.home() / ".ray" / "auth_token").read_text()
print(status("127.0.0.1", "guessed"), status("127.0.0.1", token), status("HEAD", token))
"""


def test_the_dashboard_asks_for_the_token_and_answers_the_head_alone(cluster):
    assert cluster.python(1, ANSWERS.replace("HEAD", address(1))) == "403 200 refused"
    assert cluster.python(2, ANSWERS.replace("127.0.0.1", address(1))) == "refused refused refused"


def test_a_job_without_the_token_is_refused(cluster):
    submit = "ray job submit --address http://127.0.0.1:8265 -- true"
    assert "succeeded" in cluster.run(1, submit)
    refused = cluster.run(1, f"RAY_AUTH_MODE=disabled {submit} 2>&1")
    assert "Authentication required" in refused and "succeeded" not in refused


def test_the_token_is_private_on_every_host(cluster):
    for host in cluster.hosts:
        assert cluster.run(host, "stat -c %a ~/.ray ~/.ray/auth_token").split() == ["700", "600"]
