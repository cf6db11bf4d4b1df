"""GPU nodes at the full price, for a sweep whose cluster gets no spot nodes (``--on-demand-after``).

Ray's autoscaler does not fall back by itself: in version 2 (Ray 2.60) a launch that the cloud refuses, with
AWS's ``InsufficientInstanceCapacity``, leaves the node type as available as it was, and only a launch that
hangs for an hour changes that (``CloudResourceMonitor``). So the node type at the full price has a resource
that no run asks for: that makes it the autoscaler's last choice, and here it is asked for by this resource.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from learner_ray.core.errors import UserError
from learner_ray.engine import ray_private
from learner_ray.engine.asked_nodes import AskedNodes
from learner_ray.study.options import SweepOptions

logger = logging.getLogger(__name__)

ON_DEMAND = "on_demand"
"""The resource by which a cluster file marks the node type at the full price."""

LOOKS_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The nodes at the full price that a cluster file allows."""

    nodes: int
    gpus_each: int


@dataclass(frozen=True, kw_only=True)
class GpuNodes:
    """How many nodes with GPUs are up."""

    spot: int = 0
    on_demand: int = 0


def offered() -> Offer | None:
    """What the cluster file on this head offers; None where it has no such node type."""
    config = ray_private.autoscaler_config()
    most = config.get("max_workers", 0)
    for kind in config.get("available_node_types", {}).values():
        has = kind.get("resources", {})
        nodes = min(kind.get("max_workers", most), most)
        if has.get(ON_DEMAND, 0) >= 1 and has.get("GPU", 0) >= 1 and nodes >= 1:
            return Offer(nodes=nodes, gpus_each=int(has["GPU"]))
    return None


def gpu_nodes() -> GpuNodes:
    """The GPU nodes that are up."""
    up = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    on_demand = sum(ON_DEMAND in found for found in up)
    return GpuNodes(spot=len(up) - on_demand, on_demand=on_demand)


def require_on_demand(options: SweepOptions, *, local: bool) -> None:
    """Refuses the option where no node at the full price can come, or too few for one run.

    Raises:
        UserError: says what to do.
    """
    if options.on_demand_after is None:
        return
    given = f"--on-demand-after {options.on_demand_after:g}"
    if local:
        raise UserError(f"{given} asks a cluster's autoscaler, and this is no cluster: leave it out")
    offer = offered()
    if offer is None:
        raise UserError(
            f"{given}: the cluster file on this head ({ray_private.BOOTSTRAP_FILE}) has no node type with "
            f"`{ON_DEMAND}` and a GPU among its resources: add one as in cluster/gpu.yaml and type `ray up` "
            "again, or leave the option out"
        )
    most = offer.nodes * offer.gpus_each
    if options.devices_per_trial > most:
        raise UserError(
            f"{given}: the cluster file allows {most} GPUs at the full price, too few for "
            f"--devices-per-trial {options.devices_per_trial}: raise max_workers of that node type, or leave "
            "the option out"
        )


def on_demand_nodes(options: SweepOptions, wanted: Callable[[], float]) -> OnDemandNodes | None:
    """What asks for nodes at the full price in this sweep; None where it may not.

    Args:
        options: of the sweep, which :func:`require_on_demand` has not refused.
        wanted: the GPUs that the sweep could use now.
    """
    offer = offered() if options.on_demand_after is not None else None
    if offer is None or options.on_demand_after is None:
        return None
    return OnDemandNodes(60 * options.on_demand_after, offer, wanted)


class OnDemandNodes(tune.Callback):  # type: ignore[misc]
    """Asks for nodes at the full price while its context lasts: as soon as no GPU node has been up for so
    long. They are asked for until they have come, or a spot node has, which ends the drought.

    Args:
        after_s: seconds without a GPU node after which they are asked for.
        offer: the nodes that the cluster file allows.
        wanted: the GPUs that the sweep could use now.
        up: the GPU nodes that are up.
        asked: asks the autoscaler.
        clock: in seconds.
    """

    def __init__(
        self,
        after_s: float,
        offer: Offer,
        wanted: Callable[[], float],
        *,
        up: Callable[[], GpuNodes] = gpu_nodes,
        asked: AskedNodes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.after_s = after_s
        self._offer, self._wanted, self._up, self._clock = offer, wanted, up, clock
        self._asked = asked or AskedNodes()
        self._expected = 0
        """Nodes that were asked for, those that have come among them; 0 where none are."""
        self._missing = 0
        """Those of them that have not come."""
        self._since = self._look_at = clock()

    def __enter__(self) -> OnDemandNodes:
        self._since = self._look_at = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self._ask(0)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Looks at every step of Tune's loop, as :meth:`look` does."""
        self.look()

    def look(self) -> None:
        """Asks for nodes, or for no more, as the nodes that are up make it necessary; once in a second."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOKS_EVERY_S
        up = self._up()
        if self._expected:
            self._follow(up)
        if up.spot or up.on_demand:
            self._since = now
        elif not self._expected and now - self._since >= self.after_s:
            self._begin()

    def _begin(self) -> None:
        nodes = min(self._offer.nodes, math.ceil(self._wanted() / self._offer.gpus_each))
        if nodes < 1:
            return
        logger.info(
            f"No GPU node has been up for {self.after_s / 60:g} minutes: asking for {nodes} on demand, "
            "at the full price"
        )
        self._expected = nodes
        self._ask(nodes)

    def _follow(self, up: GpuNodes) -> None:
        missing = max(0, self._expected - up.on_demand)
        came = self._expected - missing
        if missing and not up.spot:
            if missing != self._missing:
                self._ask(missing)
            return
        if missing:
            logger.info(f"A spot node is up: no longer asking on demand ({came} of {self._expected} came)")
        else:
            logger.info(f"On-demand GPU nodes are up: {came}. They stay while runs are on them")
        self._expected = 0
        self._ask(0)

    def _ask(self, nodes: int) -> None:
        self._missing = nodes
        self._asked.ask(nodes, {"GPU": self._offer.gpus_each, ON_DEMAND: 1})
