"""What a cluster's autoscaler may bring, and the first GPU that it is asked for."""

from __future__ import annotations

import logging
import os
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ray

from learner_ray.core.errors import UserError
from learner_ray.engine import ray_private
from learner_ray.engine.asked_nodes import AskedNodes

if TYPE_CHECKING:  # Tune, which those who only look at the devices do without
    from learner_ray.engine.on_demand import OnDemandNodes

logger = logging.getLogger(__name__)

MOST_GPUS = "LEARNER_RAY_MOST_GPUS"
"""Environment variable: how many GPUs an autoscaler may bring that leaves no cluster file here, as on
Kubernetes."""

NODE_STARTS_S = 900.0
"""Seconds in which a cloud starts a GPU node, drivers included; it takes four to eight minutes."""

SAID_AFTER_S = 120.0
"""Seconds after which it is said that no node has come yet."""

ON_DEMAND = "on_demand"
"""The resource by which a cluster file marks the node type that is not spot."""


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


def reachable_devices() -> dict[str, int]:
    """CPUs and GPUs that the cluster has, or that its autoscaler could bring.

    Trials that wait for a device are what tells an autoscaler to bring more nodes.
    """
    present = ray.cluster_resources()
    return {name: int(max(present.get(name, 0), _launchable(name))) for name in ("CPU", "GPU")}


def _launchable(name: str) -> int:
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


def bring_a_gpu(most: int, on_demand: OnDemandNodes | None = None) -> None:
    """Has the autoscaler start a first GPU node, so that the study is planned for what will train it.

    Args:
        most: the GPUs that the autoscaler may bring.
        on_demand: asks for on-demand nodes, too, if none has come for long.

    Raises:
        UserError: none came.
    """
    logger.info(f"No GPU node is up: asking for one of up to {most} GPUs")
    begun, said = time.monotonic(), False
    limit_s = NODE_STARTS_S + (on_demand.after_s if on_demand else 0)
    with AskedNodes() as asked, on_demand or nullcontext():
        asked.ask(1, {"GPU": 1})
        while not ray.cluster_resources().get("GPU"):
            if on_demand:
                on_demand.look()
            waited = time.monotonic() - begun
            if not said and waited > SAID_AFTER_S:
                said = True
                logger.info(
                    f"No GPU node has come for {SAID_AFTER_S / 60:.0f} minutes: it may be starting, or there "
                    "is no capacity; `ray status` in another shell says which"
                )
            if waited > limit_s:
                known = on_demand or not offered()
                hint = "" if known else ": --on-demand-after MINUTES asks for on-demand nodes, too"
                raise UserError(
                    f"no GPU node came up within {limit_s / 60:.0f} minutes: `ray status` says why "
                    f"(quota, or no capacity{hint}); without a GPU, add --address local"
                )
            time.sleep(1)
