"""Trials whose runs the host of their GPU trains, and the hosts of a study."""

from __future__ import annotations

import math
import os
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from learner_ray.core.locks import HeldError
from learner_ray.engine.epoch_queue import EpochResult
from learner_ray.engine.faults import DEATHS, FaultError, death_of
from learner_ray.engine.gpu_host import GpuHost, HostedEpoch, OpenRun
from learner_ray.engine.locked_run import RunInHand
from learner_ray.engine.trainable import RunTrainable, assigned_share, device_name, open_run
from learner_ray.run.folder import RunFolder

MANY = 1000
"""Calls that a host answers at a time; most of them wait for an epoch."""
STARTS = 3
"""How many hosts are tried that end before they can take a run."""
BEFORE_THE_WATCHDOG = 0.9
"""The part of the watchdog's patience that a trial has with its host: the watchdog would end the trial alone,
and leave the epoch that hangs."""


class GpuHosts:
    """The hosts of a study, while the context lasts; each starts when a trial of its GPU asks for it.

    Args:
        open_run: opens a run in a host. Tests of the engine have runs that take no time.
    """

    def __init__(self, open_run: OpenRun = open_run) -> None:
        self.name = f"gpu_hosts-{uuid.uuid4().hex}"
        self._open_run = open_run

    def __enter__(self) -> GpuHosts:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "name": self.name, "scheduling_strategy": here}
        self._keeper = ray.remote(HostKeeper).options(**options).remote(self._open_run)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ray.exceptions.RayError):  # so has the driver's own Ray ended
            ray.get(self._keeper.end_all.remote())
            ray.kill(self._keeper)


class HostKeeper:
    """An actor that starts hosts. They belong to it and it to the driver: however that ends, they end too.

    Args:
        open_run: opens a run in a host.
    """

    def __init__(self, open_run: OpenRun) -> None:
        self._open_run = open_run
        self._hosts: dict[tuple[str, str], tuple[str, Any]] = {}

    def host(self, node: str, gpu: str, instead_of: str = "") -> tuple[str, Any]:
        """The name and the actor of a GPU's host.

        Args:
            node: the GPU's node.
            gpu: the GPU there, as in ``CUDA_VISIBLE_DEVICES``.
            instead_of: a host that has ended, or is to.
        """
        name, actor = self._hosts.get((node, gpu), ("", None))
        if actor is None or name == instead_of:
            if actor is not None:
                ray.kill(actor)
            name = uuid.uuid4().hex
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            options = {"num_cpus": 0, "num_gpus": 0, "max_concurrency": MANY, "scheduling_strategy": there}
            actor = ray.remote(GpuHost).options(**options).remote(gpu, name, self._open_run)
            self._hosts[node, gpu] = name, actor
        return name, actor

    def end_all(self) -> None:
        """Ends all hosts, in the middle of an epoch too."""
        for _, actor in self._hosts.values():
            ray.kill(actor)


class HostedRun:
    """A trial's run that the host of its GPU trains.

    Args:
        address: of the run's folder.
        hosts: the name of the study's ``HostKeeper``.
        hung_after_s: silence of the host after which it is taken to hang and ended.
    """

    def __init__(self, address: str, hosts: str, hung_after_s: float) -> None:
        self.folder: RunFolder | None = None
        self._hosts = hosts
        self._hung_after_s = hung_after_s
        self._host: Any = None
        self._host_name = ""
        self._asked = HostedEpoch(
            trial=uuid.uuid4().hex, process=os.getpid(), folder=address, share=assigned_share()
        )

    def advance(self) -> tuple[dict[str, Any] | None, bool]:
        """Has the host train the next epoch: its row, and whether that is of before a restart.

        Raises:
            HeldError: another process, or an earlier attempt, trains the run.
            FaultError: something went wrong.
        """
        self.folder = self.folder or RunFolder.at(self._asked.folder)
        if self._host is None:
            self._find_host()
        limit = None if math.isinf(self._hung_after_s) else BEFORE_THE_WATCHDOG * self._hung_after_s
        try:
            result: EpochResult = ray.get(self._host.train_epoch.remote(self._asked), timeout=limit)
        except ray.exceptions.GetTimeoutError:
            self._host_for(instead_of=self._host_name)
            fault = death_of(None, hung=f"hung: no epoch within {self._hung_after_s:.0f} s")
            raise FaultError(replace(fault, device=device_name())) from None
        if result.held_elsewhere:
            raise HeldError(f"{self._asked.folder} is held by another trial or sweep")
        if result.fault:
            raise FaultError(replace(result.fault, device=device_name()))
        return result.row, result.restored

    def close(self) -> None:
        """Tells the host that nobody asks for the run any more."""
        if self._host is not None:
            self._host.let_go.remote(self._asked.trial)
        self._host = None

    def _find_host(self) -> None:
        """Finds the GPU's host, or a new one where it has ended or is about to: none of this run's doing."""
        name, host = self._host_for()
        for start in range(STARTS):
            try:
                if ray.get(host.is_well.remote()):
                    break
            except DEATHS:
                if start == STARTS - 1:
                    raise
            name, host = self._host_for(instead_of=name)
        self._host_name, self._host = name, host

    def _host_for(self, instead_of: str = "") -> tuple[str, Any]:
        gpu, node = os.environ.get("CUDA_VISIBLE_DEVICES", ""), ray.get_runtime_context().get_node_id()
        found: tuple[str, Any] = ray.get(ray.get_actor(self._hosts).host.remote(node, gpu, instead_of))
        return found


def hosted_trainable(hosts: GpuHosts, hung_after_s: float) -> type[RunTrainable]:
    """The trainable of trials whose runs these hosts train."""
    name = hosts.name  # the hosts themselves stay with the driver

    class HostedTrainable(RunTrainable):
        def take(self) -> RunInHand:
            return HostedRun(self._address, name, hung_after_s)

    return HostedTrainable
