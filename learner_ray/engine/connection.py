"""Joins a Ray cluster, or starts Ray on this machine alone."""

from __future__ import annotations

import os
from typing import Any

import ray

from learner_ray.errors import UserError

QUIET: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}

LOCAL = "local"

OBJECT_STORE_BYTES = 200 * 2**20
"""Enough for Tune's messages: pixels are mapped from the cache's file, never sent through Ray."""


def join_cluster(address: str | None) -> dict[str, float] | None:
    """Joins the cluster at an address, or the one this machine belongs to.

    Returns:
        The cluster's resources; None where there is no cluster, or ``address`` is ``local``.

    Raises:
        UserError: no cluster answers at the address that was given.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == LOCAL:
        return None
    try:
        ray.init(address=address or "auto", **QUIET)
    except ConnectionError as error:
        if address is None:
            return None
        raise UserError(f"--address {address}: no Ray cluster answers there ({error})") from error
    resources: dict[str, float] = ray.cluster_resources()
    return resources


def start_local(slots: int) -> None:
    """Starts Ray on this machine for ``slots`` trials at a time."""
    ray.init(
        address=LOCAL,
        num_cpus=slots,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        **QUIET,
    )


def leave() -> None:
    """Leaves the cluster; a Ray that was started here ends."""
    ray.shutdown()
