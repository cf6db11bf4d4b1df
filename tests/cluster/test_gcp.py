"""gcp.yaml against the Compute Engine API's own description, which Google's client carries with it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import googleapiclient
import pytest

from tests.cluster.files import load

DESCRIPTION = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "compute.v1.json"


@pytest.fixture(scope="module")
def schemas():
    return json.loads(DESCRIPTION.read_text())["schemas"]


def misfits(value, shape, schemas, where=""):
    """What of a value the API does not know: keys, enumerated values, types."""
    shape = schemas[shape["$ref"]] if "$ref" in shape else shape
    if shape["type"] == "object" and "properties" in shape:
        known = shape["properties"]
        unknown = [f"{where}.{key}: unknown" for key in value if key not in known]
        inner = [(v, known[k], f"{where}.{k}") for k, v in value.items() if k in known]
        return unknown + [m for v, s, place in inner for m in misfits(v, s, schemas, place)]
    if shape["type"] == "array":
        return [m for i, v in enumerate(value) for m in misfits(v, shape["items"], schemas, f"{where}[{i}]")]
    # The API's 64-bit numbers are text in JSON; it takes numbers, too.
    kinds = {"string": (str, int), "boolean": (bool,), "integer": (int,), "number": (int, float)}
    if type(value) not in kinds.get(shape["type"], (type(value),)):
        return [f"{where}: not a {shape['type']}"]
    if "enum" in shape and value not in shape["enum"]:
        return [f"{where}: {value!r} is not offered"]
    return []


def node(name):
    return load("gcp.yaml")["available_node_types"][name]["node_config"]


@pytest.mark.parametrize("name", ["head", "gpu"])
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


def test_workers_are_spot_and_the_head_is_not():
    scheduling = node("gpu")["scheduling"]
    assert scheduling["provisioningModel"] == "SPOT" and scheduling["instanceTerminationAction"] == "DELETE"
    assert scheduling["automaticRestart"] is False
    assert "scheduling" not in node("head")


def test_no_node_stands_in_the_default_network():
    """Its ready-made firewall rules let ssh and remote desktop in from the world."""
    for name in ("head", "gpu"):
        (interface,) = node(name)["networkInterfaces"]
        assert interface["subnetwork"].endswith("/learner-ray") and "network" not in interface


def test_disks_go_with_their_node_and_zone_is_one():
    provider = load("gcp.yaml")["provider"]
    assert provider["availability_zone"].startswith(provider["region"] + "-")
    for name in ("head", "gpu"):
        for disk in node(name)["disks"]:
            assert disk["autoDelete"] is True
            assert f"zones/{provider['availability_zone']}/" in disk["initializeParams"]["diskType"]
        assert f"regions/{provider['region']}/" in node(name)["networkInterfaces"][0]["subnetwork"]


def test_a_project_must_be_named():
    """Nothing is billed to a project by accident: Ray refuses a file without one."""
    assert load("gcp.yaml")["provider"]["project_id"] is None
