"""What a first contact asks of an account, call by call, on moto's AWS and under Ray's own autoscaler."""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import moto.core.responses
import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse
from moto.server import ThreadedMotoServer
from ray.autoscaler._private.aws import config as aws_config
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.constants import BOTO_CREATE_MAX_RETRIES

from cluster import aws
from cluster.aws_roles import head_statements
from learner_ray.engine.head import answers
from learner_ray.engine.ray_private import BOOTSTRAP_FILE
from tests.cluster.files import CLUSTER, prepared
from tests.cluster.launching import launch_head
from tests.cluster.test_aws_launch import machine, new_clients
from tests.ray_head import asked_of_autoscaler, free_address, head
from tests.small_sweep import GUARD_S, sweep_command, wait_until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("aws")]

SMALL = ["--folds", "2", "--trials", "0", "--epochs", "1", "--arms", "mse,majority", "--profile", "laptop"]
SMALL += ["--set", "data.image_size=32", "--set", "data.frames=2"]


def is_spot(asked: moto.core.responses.BaseResponse) -> bool:
    return asked._get_param("InstanceMarketOptions.MarketType") == "spot"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The calls that moto's AWS has answered, in order; every client of this test finds it. It has no spot
    nodes."""
    asked: list[str] = []
    answer = moto.core.responses.BaseResponse.call_action

    def noted(self: moto.core.responses.BaseResponse) -> object:
        of = self._get_param("InstanceType")
        market = f" {self._get_param('InstanceMarketOptions.MarketType')}" if is_spot(self) else ""
        asked.append(f"{self.service_name}:{self._get_action()}" + (f"({of}{market})" if of else ""))
        return answer(self)

    monkeypatch.setattr(moto.core.responses.BaseResponse, "call_action", noted)
    started = InstanceResponse.run_instances

    def refused(self: InstanceResponse) -> object:
        if is_spot(self):
            raise EC2ClientError("InsufficientInstanceCapacity", "There is no Spot capacity available.")
        return started(self)

    monkeypatch.setattr(InstanceResponse, "run_instances", refused)
    monkeypatch.setattr(aws_config, "time", type("NoSleep", (), {"sleep": lambda seconds: None}))
    monkeypatch.chdir(CLUSTER.parent)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        "HOME": str(tmp_path),
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("token")
    with new_clients():
        yield asked
    server.stop()


@contextmanager
def running(command: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A sweep, which is killed in the end."""
    sweep = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield sweep
    finally:
        sweep.kill()
        sweep.wait()


def until(happened: str, calls: list[str], sweep: subprocess.Popen[str], *, times: int = 1) -> None:
    end = time.monotonic() + GUARD_S
    while calls.count(happened) < times:
        assert time.monotonic() < end and sweep.poll() is None, calls
        time.sleep(0.05)


def as_typed(starts: list[str]) -> dict[str, str]:
    """The environment variables in front of the `ray start` that the launcher types on a head: the version of
    its autoscaler and, without which that starts nothing, who the head is."""
    (start,) = starts
    names = ("RAY_enable_autoscaler_v2", "RAY_CLOUD_INSTANCE_ID", "RAY_NODE_TYPE_NAME")
    return {name: re.search(rf"export {name}=([\w-]+);", start)[1] for name in names}  # type: ignore[index]


def said_by(sweep: subprocess.Popen[str], words: str) -> float:
    """When a sweep said something."""
    assert sweep.stdout is not None
    assert any(words in line for line in sweep.stdout)
    return time.monotonic()


def test_a_mistake_asks_for_no_instance_and_a_sweep_for_a_spot_one_then_by_option_for_others(
    calls: list[str], tmp_path: Path, manifest: Path
) -> None:
    images = ["--image", "ami-12c6146b"]  # one of moto's
    assert aws.main(["--ssh-from", "192.0.2.7/32", *images]) == 0
    config = AWSNodeProvider.bootstrap_config(copy.deepcopy(prepared("gpu.yaml")))
    as_ray_up = as_typed(launch_head(config).said("ray start"))
    print("\nup to the head:", ", ".join(key for key, _ in itertools.groupby(calls)))
    policy = json.loads((CLUSTER / "aws-policy.json").read_text())
    rights = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {call.partition("(")[0] for call in calls} <= rights
    config["setup_commands"], config["file_mounts"] = [], {}
    bootstrap = tmp_path / BOOTSTRAP_FILE.name
    bootstrap.write_text(json.dumps(config))
    address, out = free_address(), tmp_path / "results" / "lus"
    with head(address, "--num-cpus=1", f"--autoscaling-config={bootstrap}", env=as_ray_up):
        end = time.monotonic() + GUARD_S
        while not answers(address):
            assert time.monotonic() < end
            time.sleep(0.2)
        calls.clear()
        local = [*SMALL, "--address", address]
        env = os.environ | {"PYTHONPATH": str(CLUSTER.parent), "PYTHONUNBUFFERED": "1"}
        for wrong, code in (([], 2), (["--plan"], 2)):
            command = sweep_command(manifest.with_name("manifets.csv"), out, *local, *wrong)
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == code and "manifets.csv" in done.stdout + done.stderr
        planned = sweep_command(manifest, out, *local, "--plan")
        done = subprocess.run(planned, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "Hours are not known: no GPU is up" in done.stdout, done.stderr
        assert not [call for call in calls if "RunInstances" in call], calls
        print("mistakes and --plan:", ", ".join(sorted(set(calls))))
        command = sweep_command(manifest, out, *local)
        spot, full = (f"ec2:RunInstances({machine('gpu')}{market})" for market in (" spot", ""))
        with running(command, env) as sweep:
            said_by(sweep, "asking for one of up to 8 GPUs")
            until(spot, calls, sweep, times=2 * BOTO_CREATE_MAX_RETRIES + 1)  # again and again
        assert full not in calls
        print("a sweep:", ", ".join(sorted(set(calls))))
        calls.clear()
        with running([*command, "--on-demand-after", "0.05"], env) as sweep:
            since = said_by(sweep, "asking for 2 on demand;")
            until(full, calls, sweep)
            assert asked_of_autoscaler(address)
            print(f"on demand: RunInstances {time.monotonic() - since:.1f} s after it was said")
        wait_until(lambda: not asked_of_autoscaler(address))  # though the sweep was killed
        print("then:", ", ".join(sorted(set(calls))))
    statements = head_statements("learner-ray", "arn")
    rights = {action for statement in statements for action in statement["Action"]}
    assert {call.partition("(")[0] for call in calls} <= rights
