"""What `ray up cluster/gpu.yaml` does to an account, seen on moto's AWS with a recorder in place of ssh."""

from __future__ import annotations

import copy
import os
import tempfile
import types
from contextlib import contextmanager

import boto3
import moto
import pytest
from ray.autoscaler._private.aws import config as aws_config
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.aws.utils import client_cache, resource_cache
from ray.autoscaler._private.providers import _clear_provider_cache

from cluster import aws
from tests.cluster.files import CLUSTER, load, prepared
from tests.cluster.launching import assert_ray_is_closed, launch_head

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.xdist_group("aws")]

SSH_FROM = "192.0.2.7/32"
REGION = load("gpu.yaml")["provider"]["region"]


def forget_clients():
    client_cache.cache_clear()
    resource_cache.cache_clear()
    _clear_provider_cache()


@contextmanager
def new_clients():
    """Ray keeps its clients of AWS: those of one test's AWS must not ask another's."""
    forget_clients()
    yield
    forget_clients()


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """An empty AWS account, and a home folder with a token in it."""
    home = tmp_path_factory.mktemp("home")
    with (
        pytest.MonkeyPatch.context() as patch,
        moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}}),
        new_clients(),
    ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr(tempfile, "tempdir", str(home))
        patch.setattr(aws_config, "time", types.SimpleNamespace(sleep=lambda seconds: None))
        patch.chdir(CLUSTER.parent)
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text("token")
        yield boto3.client("ec2", region_name=REGION)


@pytest.fixture(scope="module")
def launched(account):
    """The resolved file and the recorder after `python -m cluster.aws` and `ray up`; before it, a refusal."""
    with pytest.raises(Exception, match="LaunchTemplate"):
        bootstrapped()
    assert instances(account) == [] and open_to(account) == set()
    assert renew(account, SSH_FROM, image=0) == 0
    config = bootstrapped()
    return config, launch_head(config)


def renew(ec2, ssh_from, image):
    return aws.main(["--ssh-from", ssh_from, "--image", ec2.describe_images()["Images"][image]["ImageId"]])


def bootstrapped():
    return AWSNodeProvider.bootstrap_config(copy.deepcopy(prepared("gpu.yaml")))


def instances(ec2, node_type=None):
    found = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    return [i for i in found if node_type is None or i["InstanceType"] == machine(node_type)]


def machine(node_type):
    return load("gpu.yaml")["available_node_types"][node_type]["node_config"]["InstanceType"]


def open_to(ec2):
    """Ports and source network of every rule of every group but the networks' own default ones."""
    groups = [g for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"]
    rules = [rule for group in groups for rule in group["IpPermissions"]]
    assert not any(rule["Ipv6Ranges"] for rule in rules)
    return {(r["FromPort"], r["ToPort"], source["CidrIp"]) for r in rules for source in r["IpRanges"]}


def test_ray_up_starts_one_on_demand_head_and_no_gpu_node(account, launched):
    (head,) = instances(account)
    assert head["InstanceType"] == machine("head")
    assert head.get("InstanceLifecycle") != "spot"
    assert head["MetadataOptions"]["HttpTokens"] == "required"
    assert [group["GroupName"] for group in head["SecurityGroups"]] == [aws.NAME]


def test_only_ssh_and_only_from_the_users_network_is_open(account, launched):
    assert open_to(account) == {(22, 22, SSH_FROM)}


def test_what_is_copied_to_the_head(launched):
    lines = launched[1].lines
    assert all(line.startswith(("ssh ", "rsync ")) for line in lines)
    copied = [line.split()[-2] for line in lines if line.startswith("rsync ")]
    own = {path.rstrip("/") for path in copied if not os.path.isabs(path)}
    assert own == {v for v in load("gpu.yaml")["file_mounts"].values() if not v.startswith("~")}
    assert sum(path.endswith(".ray/auth_token") for path in copied) == 1


def test_what_is_run_on_the_head(launched):
    recorder = launched[1]
    assert_ray_is_closed(recorder)
    steps = [recorder.said(step) for step in ("auth_token", "apt-get", "setup.sh", "ray start")]
    positions = [recorder.lines.index(lines[0]) for lines in steps]
    assert positions == sorted(positions)


@pytest.mark.parametrize(("name", "lifecycle"), [("gpu", "spot"), ("gpu_on_demand", None)])
def test_gpu_nodes_are_behind_the_same_firewall_and_spot_by_their_type(account, launched, name, lifecycle):
    """As the autoscaler on the head would create one."""
    config = launched[0]
    node = copy.deepcopy(config["available_node_types"][name]["node_config"])
    AWSNodeProvider(config["provider"], config["cluster_name"]).create_node(node, {}, 1)
    *_, worker = instances(account, name)
    assert worker.get("InstanceLifecycle") == lifecycle
    assert worker["IamInstanceProfile"]["Arn"].endswith("/learner-ray-gpu")
    assert worker["MetadataOptions"]["HttpTokens"] == "required"
    assert [group["GroupName"] for group in worker["SecurityGroups"]] == [aws.NAME]


def test_a_new_address_replaces_the_old_one(account, launched):
    assert renew(account, "198.51.100.0/24", image=1) == 0
    assert open_to(account) == {(22, 22, "198.51.100.0/24")}
    images = {node["node_config"]["ImageId"] for node in bootstrapped()["available_node_types"].values()}
    assert images == {account.describe_images()["Images"][1]["ImageId"]}
