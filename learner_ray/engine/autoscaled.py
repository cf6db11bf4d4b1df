"""What a cluster's autoscaler may bring, and the first GPU that it is asked for."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import ray

from learner_ray.core.errors import UserError
from learner_ray.engine.asked_nodes import AskedNodes
from learner_ray.engine.cluster_file import launchable, offered

if TYPE_CHECKING:  # Tune, which those who only look at the devices do without
    from learner_ray.engine.on_demand import OnDemandNodes

logger = logging.getLogger(__name__)

NODE_STARTS_S = 900.0
"""Seconds in which a cloud starts a GPU node, drivers included; it takes four to eight minutes."""

SAID_AFTER_S = 120.0
"""Seconds after which it is said that no node has come yet."""


def reachable_devices() -> dict[str, int]:
    """CPUs and GPUs that the cluster has, or that its autoscaler could bring.

    Trials that wait for a device are what tells an autoscaler to bring more nodes.
    """
    present = ray.cluster_resources()
    return {name: int(max(present.get(name, 0), launchable(name))) for name in ("CPU", "GPU")}


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
