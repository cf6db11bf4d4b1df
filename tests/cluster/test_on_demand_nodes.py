"""Which GPU nodes Ray's autoscaler would start for a cloud's file, by its own scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.core.generated.autoscaler_pb2 import GangResourceRequest, ResourceRequest

from tests.cluster.files import load

each_cloud = pytest.mark.parametrize("name", ["gpu.yaml", "gcp.yaml"])

RUN = {"CPU": 1.0, "GPU": 1.0}
ON_DEMAND = {"GPU": 1.0, "on_demand": 1.0}


def group(resources: Mapping[str, float], *, spread: bool = False) -> GangResourceRequest:
    """A placement group of one bundle, as Ray's head reports it to the autoscaler."""
    request = ResourceRequest(resources_bundle=resources)
    if spread:
        request.placement_constraints.add().anti_affinity.label_name = "_PG"
    return GangResourceRequest(requests=[request])


def started(name: str, *asked: GangResourceRequest) -> dict[str, int]:
    """The nodes by type that would be started on a cluster of the head alone, which counts as none here."""
    config = load(name)
    types: dict[str, Any] = config["available_node_types"]
    request = SchedulingRequest(
        disable_launch_config_check=True,
        max_num_nodes=config["max_workers"],
        gang_resource_requests=list(asked),
        node_type_configs={
            kind: NodeTypeConfig(
                name=kind,
                min_worker_nodes=said["min_workers"],
                max_worker_nodes=said["max_workers"],
                resources=said["resources"],
            )
            for kind, said in types.items()
        },
    )
    reply = ResourceDemandScheduler().schedule(request)
    return {launch.instance_type: launch.count for launch in reply.to_launch}


@each_cloud
@pytest.mark.parametrize("part", [1.0, 0.3333])
def test_runs_get_spot_nodes_alone_however_many_wait(name: str, part: float) -> None:
    most = load(name)["max_workers"]
    waiting = [group({key: amount * part for key, amount in RUN.items()}) for _ in range(9 * most)]
    for runs in (1, most, len(waiting)):
        assert started(name, *waiting[:runs]).keys() == {"gpu"}
    assert started(name, *waiting) == {"gpu": most}


@each_cloud
def test_nodes_at_the_full_price_come_first_once_they_are_asked_for(name: str) -> None:
    config = load(name)
    most = config["max_workers"]
    waiting = [group(RUN) for _ in range(2 * most)]
    two = [group(ON_DEMAND, spread=True) for _ in range(2)]
    assert started(name, *waiting, *two) == {"gpu_on_demand": 2, "gpu": most - 2}
    three = [group(ON_DEMAND, spread=True) for _ in range(3)]
    allowed = config["available_node_types"]["gpu_on_demand"]["max_workers"]
    assert started(name, *three) == {"gpu_on_demand": allowed}


@each_cloud
def test_a_spot_node_is_still_asked_for_beside_them(name: str) -> None:
    """The clouds may have none on demand either."""
    first = group({"GPU": 1.0}, spread=True)
    assert started(name, first, group(ON_DEMAND, spread=True)) == {"gpu_on_demand": 1, "gpu": 1}


@each_cloud
def test_both_kinds_differ_in_the_price_alone(name: str) -> None:
    types = load(name)["available_node_types"]
    spot, full = types["gpu"], types["gpu_on_demand"]
    assert full["resources"] == spot["resources"] | {"on_demand": 1}
    of_spot, of_full = spot["node_config"], full["node_config"]
    if name == "gpu.yaml":
        assert of_spot.pop("InstanceMarketOptions") == {"MarketType": "spot"}
    else:
        for key in ("provisioningModel", "instanceTerminationAction"):
            of_spot["scheduling"].pop(key)
    assert of_spot == of_full


@each_cloud
def test_no_more_nodes_than_spot_ones_are_allowed(name: str) -> None:
    """Else runs that wait would get on-demand nodes once all spot nodes are up."""
    config = load(name)
    assert config["max_workers"] <= config["available_node_types"]["gpu"]["max_workers"]
