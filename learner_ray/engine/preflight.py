"""Looks at every node of a cluster before the first trial, so that a study is refused instead of hanging."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.core.numerics import NUMERICS
from learner_ray.run.object_storage import StoredFolder, is_url, visible
from learner_ray.run.provenance import code_hash, versions

MUST_AGREE = ("python", "ray", "torch", "learner-ray")

TIMEOUT_S = 300.0

NODES = "LEARNER_RAY_NODES"
"""Environment variable: how many nodes a cluster that is being started will have; `slurm.sh` sets it."""

JOIN_S = 300.0
"""Seconds for which the last of them may take longer than the first."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node's description of itself."""

    host: str
    versions: dict[str, str]
    sees_data: bool
    sees_results: bool
    gpus: int
    precision: str
    """The precision that ``train.precision=auto`` stands for there."""


def await_nodes() -> None:
    """Returns once the cluster that was joined has as many nodes as the environment says it will have.

    Raises:
        PlaceError: it has fewer for five minutes.
    """
    expected, until = int(os.environ.get(NODES, "1")), time.monotonic() + JOIN_S
    while (found := sum(node["Alive"] for node in ray.nodes())) < expected:
        if time.monotonic() > until:
            raise PlaceError(f"{found} of {expected} nodes have joined Ray within {JOIN_S / 60:.0f} minutes")
        time.sleep(0.5)


def inspect_nodes(data: str | None, out: str) -> list[Node]:
    """Asks every live node of the cluster that was joined.

    Args:
        data: what every node must be able to read; None for a phantom, which each node makes itself.
        out: the folder that every node must find the driver's files in; made here if it is missing.

    Raises:
        PlaceError: a node does not answer.
        UserError: the folder cannot be written to from here.
    """
    with token_beside(out) as token:
        return _ask_nodes(data, token)


@contextmanager
def token_beside(out: str) -> Iterator[str]:
    """Writes a file beside a results folder, which a node that sees the folder sees too, and yields its
    address.

    Raises:
        UserError: it cannot be written, so that nothing could.
    """
    name = f".preflight-{uuid.uuid4().hex}"
    if is_url(out):
        root = StoredFolder.at(out).above
        try:
            root.leave(name)
            yield f"{root.url}/{name}"
            root.remove(name)
        except StorageError as error:
            raise UserError(f"--out {out} cannot be written to: {error}") from error
    else:
        path = Path(out).resolve().parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        try:
            yield str(path)
        finally:
            path.unlink(missing_ok=True)


def _ask_nodes(data: str | None, token: str) -> list[Node]:
    try:
        asked = [
            ray.remote(_inspect)
            .options(
                num_cpus=0,
                num_gpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            )
            .remote(data, token)
            for node in ray.nodes()
            if node["Alive"]
        ]
        found: list[Node] = ray.get(asked, timeout=TIMEOUT_S)
    except ray.exceptions.RayError as error:
        raise PlaceError(f"a node of the cluster does not answer: {error}") from error
    return found


def _inspect(data: str | None, token: str) -> Node:
    import torch

    from learner_ray.training.precision import fastest_precision

    gpus = torch.cuda.device_count()
    return Node(
        host=socket.gethostname(),
        versions=must_agree(),
        sees_data=data is None or visible(data),
        sees_results=visible(token),
        gpus=gpus,
        precision=fastest_precision("cuda" if gpus else "cpu"),
    )


def must_agree() -> dict[str, str]:
    """What must be the same on all nodes: versions, and this package's own files with their numerics."""
    found = {name: version for name, version in versions().items() if name in MUST_AGREE}
    return {**found, "numerics": str(NUMERICS), "learner_ray's files": code_hash()}


def check_nodes(nodes: Sequence[Node], data: str | None, out: str) -> None:
    """Refuses a cluster on which runs would fail, or differ from node to node.

    Raises:
        UserError: lists all that is wrong, by node.
    """
    mine = must_agree()
    faults = []
    for node in nodes:
        differing = [f"{n} {v} (here {mine.get(n)})" for n, v in node.versions.items() if v != mine.get(n)]
        if differing:
            faults.append(f"{node.host} has {', '.join(differing)}: install the same versions everywhere")
        if not node.sees_data:
            faults.append(f"{node.host} cannot see {data}: put the data where every node finds it")
        if not node.sees_results:
            where = out if is_url(out) else Path(out).absolute()
            faults.append(f"{node.host} cannot see {where}: choose an --out on storage that all nodes share")
    if faults:
        raise UserError("the cluster cannot run this study:\n  " + "\n  ".join(faults))
