"""On-demand GPU nodes, for a sweep whose cluster gets no spot nodes (``--on-demand-after``).

Ray's autoscaler does not fall back by itself: in version 2 (Ray 2.60) a launch that the cloud refuses, with
AWS's ``InsufficientInstanceCapacity``, leaves the node type as available as it was, and only a launch that
hangs for an hour changes that (``CloudResourceMonitor``). So the on-demand node type has a resource that no
run asks for: that makes it the autoscaler's last choice, and here it is asked for by this resource.
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
from learner_ray.engine.cluster_file import ON_DEMAND, Offer, offered
from learner_ray.study.options import SweepOptions

logger = logging.getLogger(__name__)

LOOKS_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class GpuNodes:
    """How many nodes with GPUs are up."""

    spot: int = 0
    on_demand: int = 0


def gpu_nodes() -> GpuNodes:
    """The GPU nodes that are up."""
    up = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    on_demand = sum(ON_DEMAND in found for found in up)
    return GpuNodes(spot=len(up) - on_demand, on_demand=on_demand)


def check_on_demand(options: SweepOptions, *, local: bool) -> None:
    """Refuses the option where no on-demand node can come, or no run could use one; without it, warns of a
    cluster file whose on-demand nodes may come unasked.

    Raises:
        UserError: says what to do.
    """
    offer = None if local else offered()
    if options.on_demand_after is None:
        if offer and not offer.is_last_choice:
            logger.warning(
                "The cluster file allows fewer spot nodes than nodes in all: once they are up, waiting runs "
                "get on-demand nodes unasked. Lower its first max_workers to that of the spot type"
            )
        return
    given = f"--on-demand-after {options.on_demand_after:g}"
    if local:
        raise UserError(f"{given} asks a cluster's autoscaler, and this is no cluster: leave it out")
    if offer is None:
        raise UserError(
            f"{given}: the cluster file on this head ({ray_private.BOOTSTRAP_FILE}) has no on-demand nodes: "
            "leave it out, or, on AWS and Google Cloud, add a node type like `gpu_on_demand` of "
            "cluster/gpu.yaml and type `ray up` again"
        )
    if options.devices_per_trial > 1:
        raise UserError(
            f"{given} is for runs of one device: leave out either this or "
            f"--devices-per-trial {options.devices_per_trial}"
        )


def on_demand_nodes(options: SweepOptions, wanted: Callable[[], float]) -> OnDemandNodes | None:
    """What asks for on-demand nodes in this sweep; None where it may not.

    Args:
        options: of the sweep, which :func:`check_on_demand` has not refused.
        wanted: the GPUs that the sweep could use now.
    """
    offer = offered() if options.on_demand_after is not None else None
    if offer is None or options.on_demand_after is None:
        return None
    return OnDemandNodes(60 * options.on_demand_after, offer, wanted)


class OnDemandNodes(tune.Callback):  # type: ignore[misc]
    """Asks for on-demand nodes while its context lasts, as soon as no GPU node has been up for so long, and
    until one is up, of either kind, which ends the drought.

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
        self._asked_for = 0
        """Nodes that are asked for."""
        self._since = self._look_at = clock()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its callbacks down when it begins, with all that they refer to."""
        return {}

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
        if self._asked_for:
            self._follow(up)
        if up.spot or up.on_demand:
            self._since = now
        elif not self._asked_for and now - self._since >= self.after_s and (nodes := self._nodes()):
            logger.info(
                f"No GPU node has been up for {self.after_s / 60:g} minutes: asking for {nodes} on demand; "
                "costs are still shown at the spot price"
            )
            self._ask(nodes)

    def _nodes(self) -> int:
        """The nodes that the file allows and the sweep could use now."""
        return min(self._offer.nodes, math.ceil(self._wanted() / self._offer.gpus_each))

    def _follow(self, up: GpuNodes) -> None:
        """Withdraws the request once a node is up, since it would keep the node's GPU from runs; others that
        the cloud has granted come all the same."""
        if up.on_demand:
            logger.info("On-demand GPU nodes are coming up; they stay while runs are on them")
        elif up.spot:
            logger.info("A spot node is up: on-demand nodes are not asked for any more")
        else:
            return
        self._ask(0)

    def _ask(self, nodes: int) -> None:
        self._asked_for = nodes
        self._asked.ask(nodes, {"GPU": self._offer.gpus_each, ON_DEMAND: 1})
