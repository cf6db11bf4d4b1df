"""gpu.yaml against the EC2 service's own model, and the firewall and launch template it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import botocore.session
import moto
import pytest

from cluster import aws, aws_roles
from learner_ray.core.errors import UserError
from tests.cluster.files import load

RAY_ONLY_KEYS = {"SubnetIds"}  # resolved by Ray before it calls RunInstances


def misfits(value: Any, shape: Any, where: str = "") -> list[str]:
    """What in a node_config the service's model does not know: keys, enumerated values, types."""
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            return [f"{where}: not a mapping"]
        unknown = [f"{where}.{key}: unknown" for key in value if key not in shape.members]
        known = [k for k in value if k in shape.members]
        return unknown + [m for k in known for m in misfits(value[k], shape.members[k], f"{where}.{k}")]
    if shape.type_name == "list":
        if not isinstance(value, list):
            return [f"{where}: not a list"]
        return [m for i, item in enumerate(value) for m in misfits(item, shape.member, f"{where}[{i}]")]
    expected = {"boolean": bool, "integer": int, "string": str}.get(shape.type_name)
    if expected and type(value) is not expected:
        return [f"{where}: not a {shape.type_name}"]
    if getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{where}: {value!r} is not offered"]
    return []


@pytest.fixture(scope="module")
def run_instances() -> Any:
    session = botocore.session.get_session()
    return session.get_service_model("ec2").operation_model("RunInstances").input_shape


@pytest.mark.parametrize("node_type", ["head", "gpu"])
def test_ec2_knows_every_key_of_the_nodes(run_instances: Any, node_type: str) -> None:
    node = load("gpu.yaml")["available_node_types"][node_type]["node_config"]
    own = {k: v for k, v in node.items() if k not in RAY_ONLY_KEYS}
    assert misfits(own, run_instances, node_type) == []


def test_a_misspelt_key_or_value_is_found(run_instances: Any) -> None:
    """Ray's schema lets both pass; the second would silently start on-demand nodes."""
    wrong = {"InstanceMarketOption": {"MarketType": "spot"}, "InstanceMarketOptions": {"MarketType": "sopt"}}
    assert misfits(wrong, run_instances) == [
        ".InstanceMarketOption: unknown",
        ".InstanceMarketOptions.MarketType: 'sopt' is not offered",
    ]


def test_workers_are_spot_and_the_head_is_not() -> None:
    types = load("gpu.yaml")["available_node_types"]
    assert types["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in types["head"]["node_config"]


def test_disks_are_encrypted_and_go_with_their_node() -> None:
    config = load("gpu.yaml")
    for node_type in config["available_node_types"].values():
        disks = [d["Ebs"] for d in node_type["node_config"]["BlockDeviceMappings"]]
        assert disks and all(d["Encrypted"] and d["DeleteOnTermination"] for d in disks)
    assert config["provider"]["cache_stopped_nodes"] is False


def test_nodes_start_behind_our_firewall_or_not_at_all() -> None:
    """Ray opens ssh to the world where a node brings no security group; ours comes with the template."""
    config = load("gpu.yaml")
    templates = [t["node_config"]["LaunchTemplate"] for t in config["available_node_types"].values()]
    assert all(template == {"LaunchTemplateName": aws.NAME} for template in templates)
    assert "security_group" not in config["provider"]


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/24", "here"])
def test_a_network_that_is_the_world_or_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--ssh-from"):
        aws.ssh_network(text)


def test_a_single_address_or_an_institute_may_come_in() -> None:
    assert aws.ssh_network("192.0.2.7") == "192.0.2.7/32"
    assert aws.ssh_network("192.0.2.0/24") == "192.0.2.0/24"


def test_without_credentials_it_says_how_to_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps credentials that other tests have set
    assert aws.main(["--ssh-from", "192.0.2.7"]) == 2
    assert "aws configure" in capsys.readouterr().err


def test_a_bucket_is_all_that_a_gpu_node_may_touch() -> None:
    assert aws_roles.bucket_statements(None) == []
    rights = [action for s in aws_roles.bucket_statements("scans") for action in s["Action"]]
    places = {place for s in aws_roles.bucket_statements("scans") for place in s["Resource"]}
    assert all(right.startswith("s3:") and "*" not in right for right in rights)
    assert places == {"arn:aws:s3:::scans", "arn:aws:s3:::scans/*"}


def test_the_head_ends_the_nodes_of_its_own_cluster_alone() -> None:
    (ends,) = [s for s in aws_roles.head_statements("mine", "arn") if "ec2:TerminateInstances" in s["Action"]]
    assert ends["Condition"] == {"StringEquals": {"ec2:ResourceTag/ray-cluster-name": "mine"}}
    assert not [a for s in aws_roles.head_statements("mine", "arn") for a in s["Action"] if "*" in a]


def test_every_node_has_the_role_that_is_made_for_it() -> None:
    types = load("gpu.yaml")["available_node_types"]
    names = {name: t["node_config"]["IamInstanceProfile"]["Name"] for name, t in types.items()}
    assert names == {"head": aws_roles.HEAD, "gpu": aws_roles.WORKER, "gpu_on_demand": aws_roles.WORKER}


@moto.mock_aws
def test_roles_are_made_once_and_a_bucket_that_is_not_named_again_is_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    iam = boto3.client("iam", region_name="us-west-2")
    for bucket, policies in (("scans", 2), (None, 1), ("scans", 2)):
        aws_roles.make_roles(iam, "mine", bucket)
        names = (aws_roles.HEAD, aws_roles.WORKER)
        assert sum(len(iam.list_role_policies(RoleName=name)["PolicyNames"]) for name in names) == policies
    assert len(iam.list_roles()["Roles"]) == 3
