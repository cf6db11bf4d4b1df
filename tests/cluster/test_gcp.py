"""gcp.yaml against the Compute Engine API's own description, which Google's client carries with it."""

from __future__ import annotations

import copy

import pytest
import yaml

from tests.cluster.discovery import document, misfits
from tests.cluster.files import CLUSTER, load


@pytest.fixture(scope="module")
def schemas():
    return document("compute.v1")["schemas"]


def node(name):
    return load("gcp.yaml")["available_node_types"][name]["node_config"]


NODES = ("head", "gpu", "gpu_on_demand")


@pytest.mark.parametrize("name", NODES)
def test_compute_engine_knows_every_key_of_the_nodes(schemas, name):
    assert misfits(node(name), schemas["Instance"], schemas, name) == []


def test_a_misspelt_key_or_value_is_found(schemas):
    wrong = copy.deepcopy(node("gpu"))
    wrong["scheduling"]["provisioningModel"] = "SPOTS"
    wrong["disks"][0]["autoDeletes"] = True
    assert misfits(wrong, schemas["Instance"], schemas) == [
        ".scheduling.provisioningModel: 'SPOTS' is not offered",
        ".disks[0].autoDeletes: unknown",
    ]


def test_workers_are_spot_but_for_those_at_the_full_price_and_the_head_is_not():
    scheduling = node("gpu")["scheduling"]
    assert scheduling["provisioningModel"] == "SPOT" and scheduling["instanceTerminationAction"] == "DELETE"
    assert "provisioningModel" not in node("gpu_on_demand")["scheduling"]
    for name in ("gpu", "gpu_on_demand"):  # a node with a GPU cannot move; restarted, it would not join again
        scheduling = node(name)["scheduling"]
        assert scheduling["onHostMaintenance"] == "TERMINATE" and scheduling["automaticRestart"] is False
    assert "scheduling" not in node("head")


def test_no_node_stands_in_the_default_network():
    """Its ready-made firewall rules let ssh and remote desktop in from the world."""
    for name in NODES:
        (interface,) = node(name)["networkInterfaces"]
        assert interface["subnetwork"].endswith("/learner-ray") and "network" not in interface


def test_disks_go_with_their_node_and_zone_is_one():
    provider = load("gcp.yaml")["provider"]
    assert provider["availability_zone"].startswith(provider["region"] + "-")
    for name in NODES:
        for disk in node(name)["disks"]:
            assert disk["autoDelete"] is True
            assert f"zones/{provider['availability_zone']}/" in disk["initializeParams"]["diskType"]
        assert f"regions/{provider['region']}/" in node(name)["networkInterfaces"][0]["subnetwork"]


def test_a_project_must_be_named():
    """Nothing is billed to a project by accident: Ray refuses a file without one."""
    assert load("gcp.yaml")["provider"]["project_id"] is None


def test_the_line_for_buckets_is_one_that_compute_engine_knows(schemas):
    """Without its comment sign; of the account's rights it leaves those to objects in buckets."""
    text = (CLUSTER / "gcp.yaml").read_text().replace("# serviceAccounts:", "serviceAccounts:")
    config = yaml.safe_load(text)["available_node_types"]["gpu"]["node_config"]
    assert misfits(config, schemas["Instance"], schemas) == []
    (account,) = config["serviceAccounts"]
    assert account["scopes"] == ["https://www.googleapis.com/auth/devstorage.read_write"]
