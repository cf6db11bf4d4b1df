"""Drains this node as soon as its cloud says it takes it away: ``python -m cluster.spot_notice aws``.

Ray's launcher does not listen for the notice (AWS gives two minutes, Google Cloud half a one). A drained node
gets no new trial, and the loss of those on it counts as the cloud's doing, not as theirs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import urllib.request

AWS = "http://169.254.169.254"
GCP = "http://metadata.google.internal"
TIMEOUT_S = 5.0
POLL_S = 5.0
REMAINING_S = {"aws": 110, "gcp": 25}
"""What is left of the warning once it is seen."""


def read(url: str, method: str = "GET", **headers: str) -> str | None:
    """The answer's text; None where there is none, or the page is missing."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        request = urllib.request.Request(url, method=method, headers=named)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def aws_notice(service: str = AWS) -> bool:
    """Whether EC2 has announced the end of this spot instance (instance metadata, version 2)."""
    token = read(f"{service}/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
    if token is None:
        return False
    page = f"{service}/latest/meta-data/spot/instance-action"
    return read(page, X_aws_ec2_metadata_token=token) is not None


def gcp_notice(service: str = GCP) -> bool:
    """Whether Compute Engine has announced the end of this spot instance."""
    return read(f"{service}/computeMetadata/v1/instance/preempted", Metadata_Flavor="Google") == "TRUE"


NOTICES = {"aws": aws_notice, "gcp": gcp_notice}


def drain(seconds: int) -> int:
    """Asks Ray to give this node nothing new; returns the exit code of ``ray drain-node``."""
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot notice"]
    command = ["ray", "drain-node", *reason, "--deadline-remaining-seconds", str(seconds)]
    return subprocess.run(command, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    """Waits for the notice, drains, ends."""
    parser = argparse.ArgumentParser(prog="python -m cluster.spot_notice", description=__doc__)
    parser.add_argument("cloud", choices=sorted(NOTICES))
    cloud = parser.parse_args(arguments).cloud
    while not NOTICES[cloud]():
        time.sleep(POLL_S)
    return drain(REMAINING_S[cloud])


if __name__ == "__main__":
    sys.exit(main())
