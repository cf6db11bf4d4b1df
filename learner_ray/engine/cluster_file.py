"""What the autoscaler of this head may bring: the cluster file that ``ray up`` leaves here says it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from learner_ray.core.errors import UserError
from learner_ray.engine import ray_private

MOST_GPUS = "LEARNER_RAY_MOST_GPUS"
"""Environment variable: how many GPUs an autoscaler may bring that leaves no cluster file here, as on
Kubernetes."""

ON_DEMAND = "on_demand"
"""The resource by which a cluster file marks the node type that is not spot."""


def launchable(name: str) -> int:
    """How much of a resource the autoscaler may bring: what the launcher's file on this head lets it, or the
    environment says; 0 where neither does.
    """
    if name == "GPU" and MOST_GPUS in os.environ:
        most_gpus = os.environ[MOST_GPUS]
        if not most_gpus.isascii() or not most_gpus.isdecimal():
            raise UserError(f"{MOST_GPUS}={most_gpus}: write how many GPUs the autoscaler may bring, as 8")
        return int(most_gpus)
    config = ray_private.autoscaler_config()
    most = config.get("max_workers", 0)
    types = config.get("available_node_types", {}).values()
    nodes = sorted((t.get("resources", {}).get(name, 0), t.get("max_workers", most)) for t in types)
    total = 0
    for amount, count in reversed(nodes):
        taken = min(count, most)
        total, most = total + amount * taken, most - taken
    return int(total)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The on-demand GPU nodes that a cluster file allows."""

    nodes: int
    gpus_each: int
    is_last_choice: bool
    """Whether as many spot nodes are allowed as nodes in all. Else the autoscaler starts on-demand nodes for
    runs that wait once all spot nodes are up, without being asked."""


def offered() -> Offer | None:
    """What the cluster file on this head offers; None where it has no such node type."""
    config = ray_private.autoscaler_config()
    most = config.get("max_workers", 0)
    found, spot = None, 0
    for kind in config.get("available_node_types", {}).values():
        has, nodes = kind.get("resources", {}), min(kind.get("max_workers", most), most)
        if has.get("GPU", 0) < 1:
            continue
        if has.get(ON_DEMAND, 0) < 1:
            spot += nodes
        elif nodes >= 1 and found is None:
            found = (nodes, int(has["GPU"]))
    if found is None:
        return None
    return Offer(nodes=found[0], gpus_each=found[1], is_last_choice=spot >= most)
