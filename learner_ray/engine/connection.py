"""Connects a study to a Ray cluster, or starts Ray on this machine alone."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.core.paths import mistaken_path
from learner_ray.engine import head, ray_private
from learner_ray.engine.autoscaled import bring_a_gpu, reachable_devices
from learner_ray.engine.preflight import Node, await_nodes, check_nodes, inspect_nodes, token_beside
from learner_ray.engine.token_file import close_token_file
from learner_ray.run.object_storage import is_url

if TYPE_CHECKING:  # Tune, which those who only look at the devices do without
    from learner_ray.engine.on_demand import OnDemandNodes

logger = logging.getLogger(__name__)

QUIET: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}

LOCAL, AUTO = "local", "auto"

ALONE = "without a cluster, add --address local"

NO_USAGE_STATISTICS = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Ray sends none to its makers, unless the user has set this variable."""

LIKELY_PRECISION = "bfloat16"
"""What GPUs of today are fastest in; older ones are slower in it and say so once they are up."""

LONGEST_FOLDER = 107 - len("/session_2026-01-31_23-59-59_999999_4194304/sockets/plasma_store")
"""The most letters in the path of Ray's folder, since the path of a socket below it may have 107."""

OBJECT_STORE_BYTES = 200 * 2**20
"""Enough for Tune's messages: pixels are mapped from the cache's file, never sent through Ray."""


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The devices that a study may use."""

    local: bool
    """Whether Ray is started here for this study, instead of joined."""
    cpus: int
    gpus: int
    precision: str
    """The precision that ``train.precision=auto`` stands for on these devices."""
    none_up: bool = False
    """Whether all GPUs are still to be brought by an autoscaler, so that the precision is a guess."""

    @property
    def slots(self) -> int:
        """Trials of one device at a time."""
        return self.gpus or self.cpus

    def trials(self, size: int) -> int:
        """Trials of ``size`` devices at a time.

        Raises:
            UserError: there are not enough devices for one.
        """
        if not 1 <= size <= self.slots:
            kind = "GPU" if self.gpus else "CPU"
            raise UserError(
                f"--devices-per-trial {size}: choose 1 to {self.slots}, there are {self.slots} {kind}s"
            )
        return self.slots // size

    def check_share(self, share: int, size: int) -> None:
        """Whether ``share`` trials, each of ``size`` devices, could have a GPU together.

        Raises:
            UserError: they could not.
        """
        if not self.gpus:
            raise UserError(f"--trials-per-gpu {share}: there is no GPU; leave it out")
        if share < 1 or size > 1 < share:
            remedy = "choose 1 or more" if share < 1 else f"each has {size} GPUs; leave it out"
            raise UserError(f"--trials-per-gpu {share}: {remedy}")

    def __str__(self) -> str:
        found = ", ".join(f"{n} {name}" for n, name in ((self.cpus, "CPU"), (self.gpus, "GPU")) if n)
        return f"on this machine ({found})" if self.local else f"on the Ray cluster (up to {found})"


def find_devices(address: str | None, data: str | None, out: str) -> Devices:
    """Joins the cluster at an address, or the one this machine belongs to, and looks at its nodes. A process
    that has joined one before stays there.

    Args:
        address: of a cluster; ``local`` for none; None for this machine's, if it has one.
        data: what every node must be able to read; None for a phantom.
        out: the results folder, which all nodes must share.

    Nothing is asked of an autoscaler here: what can be refused is refused before.

    Raises:
        UserError: no cluster answers at the address, or one of its nodes could not run this study.
        PlaceError: a node has not joined, or does not answer.
    """
    if ray.is_initialized():
        if address is not None:
            raise UserError(f"--address {address}: this process has joined Ray already: leave it out")
    elif address == LOCAL or not _joined(address):
        if is_url(out):
            with token_beside(out):
                pass  # that it can be written is all there is to know
        import torch  # as late as this: those who join a cluster do without

        from learner_ray.training.precision import fastest_precision

        gpus = torch.cuda.device_count()
        fastest = fastest_precision("cuda" if gpus else "cpu")
        return Devices(local=True, cpus=_cores(), gpus=gpus, precision=fastest)
    await_nodes()
    most = reachable_devices()
    none_up = most["GPU"] > 0 and not ray.cluster_resources().get("GPU")
    nodes = _inspected(data, out)
    precision = LIKELY_PRECISION if none_up else _precision(nodes)
    return Devices(local=False, cpus=most["CPU"], gpus=most["GPU"], precision=precision, none_up=none_up)


def with_a_gpu(
    devices: Devices, data: str | None, out: str, on_demand: OnDemandNodes | None = None
) -> Devices:
    """The devices of the cluster that was joined once a first GPU is up, which an autoscaler is asked for if
    none is.

    Args:
        devices: those that were found.
        data: what every node must be able to read; None for a phantom.
        out: the results folder, which all nodes must share.
        on_demand: asks for on-demand nodes, too, if none has come for long.

    Raises:
        UserError: none came, or the node could not run this study.
        PlaceError: a node does not answer.
    """
    if not devices.none_up:
        return devices
    bring_a_gpu(devices.gpus, on_demand)
    return replace(devices, precision=_precision(_inspected(data, out)), none_up=False)


def _inspected(data: str | None, out: str) -> list[Node]:
    nodes = inspect_nodes(data, out)
    check_nodes(nodes, data, out)
    return nodes


def _precision(nodes: list[Node]) -> str:
    """The head of a GPU cluster may have no GPU: what the nodes with one say counts."""
    return ([node.precision for node in nodes if node.gpus] or [nodes[0].precision])[0]


def check_visible(devices: Devices, data: str, out: str) -> None:
    """Refuses a cluster of which a node cannot read further data, such as an external cohort.

    Raises:
        UserError: names the nodes.
    """
    if not devices.local:
        check_nodes(inspect_nodes(data, out), data, out)


def _joined(address: str | None) -> bool:
    said = f"--address {address}" if address else f"RAY_ADDRESS={os.environ.get('RAY_ADDRESS')}"
    found = _started_here() if address in (None, "", AUTO) else address
    if found == LOCAL:
        return False
    if found is None:
        if AUTO in (address, os.environ.get("RAY_ADDRESS")):
            raise UserError(
                f"{said}: no Ray cluster runs on this machine: `ray start --head` makes one; {ALONE}"
            )
        return False
    head.require(found, said)
    try:
        with ray_private.environment(NO_USAGE_STATISTICS, override=False):
            close_token_file()
            ray.init(address=found, **QUIET)
    except Exception as error:  # Ray raises Exception itself where a head has no raylet
        raise UserError(f"{said}: the Ray cluster there cannot be joined ({_first_line(error)})") from error
    return True


def _started_here() -> str | None:
    """The cluster that RAY_ADDRESS names, or that ``ray start`` made this machine part of, if it still runs.

    Not Ray's "auto": it also joins another study's private Ray, which ends with that study, and it waits half
    a minute for a cluster that is gone and left its address behind.
    """
    named = os.environ.get("RAY_ADDRESS")
    if named and named != AUTO:
        return named
    address = ray_private.address_of_started_cluster()
    return address if address and head.answers(address) else None


def start_local(cpus: int) -> None:
    """Starts Ray on this machine, with its GPUs and so many of its CPUs. No other machine reaches it.

    Raises:
        PlaceError: it does not start here.
    """
    try:
        with (
            ray_private.environment(NO_USAGE_STATISTICS, override=False),
            ray_private.environment(_short_folder()),
            ray_private.on_loopback(),
        ):
            close_token_file()
            ray.init(
                address=LOCAL,
                num_cpus=cpus,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                **QUIET,
            )
    except Exception as error:  # Ray raises Exception itself where one of its processes ends at once
        raise PlaceError(f"Ray does not start on this machine ({_first_line(error)})") from error


def _short_folder() -> dict[str, str]:
    """Environment variables that have Ray keep its own files in a folder that is short enough for the paths
    of sockets: none where its default is; else ``RAY_TMPDIR`` with a new folder in /tmp, which is removed
    when this process ends.

    Raises:
        UserError, StorageError: they can be written neither there nor here.
    """
    usual = ray_private.temporary_folder()
    try:
        usual.mkdir(parents=True, exist_ok=True)
        if len(os.fsencode(usual)) <= LONGEST_FOLDER:
            return {}
        short = tempfile.mkdtemp(prefix="learner-ray-", dir="/tmp")
        (Path(short) / "ray").mkdir()
    except OSError as error:
        kind = UserError if mistaken_path(error) else StorageError
        raise kind(
            f"{error.filename}: {error.strerror}; Ray keeps its own files there while the study runs: name "
            f"another folder, of {LONGEST_FOLDER - len('/ray')} letters at most, in RAY_TMPDIR"
        ) from error
    atexit.register(shutil.rmtree, short, ignore_errors=True)
    logger.info(f"{usual} is too long a path for Ray's sockets: they are in {short}")
    return {"RAY_TMPDIR": short}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def left_as_found() -> Iterator[None]:
    """Leaves the cluster in the end, and a Ray that was started here ends, unless this process had joined one
    before: a notebook keeps its own.
    """
    joined = ray.is_initialized()
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
