"""Runs on several devices each: Ray Train's worker groups, kept for one run after the other.

A worker group takes longer to start than a small run takes to train, and one that Tune kills keeps its
devices. So groups start once and belong to the driver, not to a trial: an epoch is trained when a trial asks
for it, and a run that is stopped early is one whose next epoch nobody asks for.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray import tune
from ray.train.torch import TorchTrainer, get_device
from ray.util.placement_group import remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from learner_ray.core.locks import HeldError
from learner_ray.engine import ray_private
from learner_ray.engine.epoch_queue import STARTS_BEFORE_GIVING_UP, EpochQueue, EpochRequest, EpochResult
from learner_ray.engine.faults import Fault, FaultError, Kind, death_of, fault_of, is_of_a_peer, last_line
from learner_ray.engine.locked_run import Run
from learner_ray.engine.trainable import TICK_S, as_text
from learner_ray.run.folder import RunFolder, locked
from learner_ray.training.distributed import World

logger = logging.getLogger(__name__)

TRIAL_CPUS = 0.01
"""CPUs of a trial, which only passes requests on. Each rank takes so much less than one CPU that N CPUs hold
N ranks and their trials."""
LEAVE_WITHIN_S = 20.0
"""Seconds after which ranks that have not left, in a long epoch say, end with the driver."""
MAX_PAUSE_S = 30.0
"""The longest pause, in seconds, before a worker group that keeps dying is started again."""
NO_DEVICES = "not enough free devices for one worker group"
MAX_START_ATTEMPTS = 5
"""How often Train tries, a minute each time, to get a worker group's resources."""

OpenRun = Callable[[RunFolder, str, World], Run]


class WorkerGroups:
    """The worker groups of a study, while the context lasts.

    Args:
        groups: how many runs are trained at a time.
        size: ranks of each, one per device.
        gpu: whether devices are GPUs, each beside a CPU, or CPUs.
        scratch: a folder that all nodes share, for Train's own files.
        open_run: makes a rank's part of a run from its folder, its device and the world. Tests of the engine
            have runs that take no time.
    """

    def __init__(
        self, groups: int, size: int, *, gpu: bool, scratch: Path, open_run: OpenRun | None = None
    ) -> None:
        self.groups = groups
        self.name = f"epoch_queue-{uuid.uuid4().hex}"
        self._size = size
        self.gpu = gpu
        self._scratch = scratch
        self._open_run = open_run or training_run
        self._leaving = threading.Event()
        self._entered = ExitStack()
        self._reported: set[str] = set()
        """The reasons for which groups did not start, each reported once."""
        self._threads = [
            threading.Thread(target=self._keep_running, args=(k,), daemon=True) for k in range(groups)
        ]

    def __enter__(self) -> WorkerGroups:
        self._entered.enter_context(ray_private.environment(ray_private.TRAIN_SETTINGS, override=False))
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "name": self.name, "scheduling_strategy": here, "max_concurrency": 10_000}
        self._queue = ray.remote(EpochQueue).options(**options).remote(self.groups, STARTS_BEFORE_GIVING_UP)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        ray.get(self._queue.close.remote())
        until = time.monotonic() + LEAVE_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._entered.close()

    def _keep_running(self, group: int) -> None:
        """Keeps one worker group running until all leave, and starts it again when it dies."""
        deaths = 0
        while not self._leaving.is_set():
            try:
                self._trainer(group).fit()
                if self._leaving.is_set():
                    return
                fault = Fault(kind=Kind.DEATH, reason="its ranks left before the study ended")
            except Exception as error:  # any error: a trial or the user must hear of it
                fault = fault_of_group(error, self._scratch.parent)
            deaths += 1
            try:
                placement_group = ray.get(self._queue.ranks_died.remote(group, fault))
                free_placement_group(placement_group)
            except ray.exceptions.RayError:
                return  # so has the driver's own Ray
            if not placement_group and fault.reason not in self._reported:
                self._reported.add(fault.reason)
                logger.warning(f"a worker group of {self._size} devices did not start: {fault.reason}")
            self._leaving.wait(min(MAX_PAUSE_S, 2.0 ** (deaths - 1)) if deaths > 1 else 0)

    def _trainer(self, group: int) -> TorchTrainer:
        cpus = 1 - TRIAL_CPUS
        return TorchTrainer(
            train_runs,
            train_loop_config={"epoch_queue": self.name, "group": group, "open_run": self._open_run},
            scaling_config=ray.train.ScalingConfig(
                num_workers=self._size,
                use_gpu=self.gpu,
                resources_per_worker={"CPU": cpus, "GPU": 1} if self.gpu else {"CPU": cpus},
            ),
            run_config=ray.train.RunConfig(
                # Under a name it knows, Train would go on from there: only a run's own files say where.
                name=f"group-{group}-{uuid.uuid4().hex}",
                storage_path=str(self._scratch),
                failure_config=ray.train.FailureConfig(
                    max_failures=0, max_preemption_failures=0, controller_failure_limit=MAX_START_ATTEMPTS
                ),
            ),
        )


def training_run(folder: RunFolder, device: str, world: World) -> Run:
    """A rank's part of a run that really trains."""
    from learner_ray.training.run import TrainingRun

    return TrainingRun(folder.read_spec(), folder, device, world)


def fault_of_group(error: Exception, root: Path) -> Fault:
    """The fault that ended a worker group: that of the rank which died, where the others only lost
    contact."""
    if ray_private.is_not_placed(getattr(error, "controller_failure", None)):
        return Fault(kind=Kind.NODE, reason=NO_DEVICES)
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    for rank, failure in failures.items():
        death = ray_private.death_of_rank(failure)
        if death is not None:
            fault = death_of(death)
            return replace(fault, reason=fault.reason.replace("its process", f"the process of rank {rank}"))
    # A rank that only heard of another's end comes last.
    for failure in sorted(failures.values(), key=is_of_a_peer):
        if isinstance(failure, FaultError):
            return failure.fault
        fault = fault_of(failure, root)
        lost = is_of_a_peer(failure) and fault.kind is not Kind.DEVICE
        return replace(fault, kind=Kind.NODE) if lost else fault
    return Fault(kind=Kind.DEATH, reason=last_line(error))


def free_placement_group(placement_group: str) -> None:
    """Ends the ranks that are left of a worker group, and gives back their devices."""
    if placement_group:
        remove_placement_group(ray_private.placement_group_of(placement_group))


def train_runs(config: dict[str, Any]) -> None:
    """Trains one epoch of some run after the other: what Train runs in every rank, all with the same
    requests."""
    epoch_queue, group = ray.get_actor(config["epoch_queue"]), config["group"]
    placement_group = ray.util.get_current_placement_group().id.hex()
    known = 0
    with Rank(config["open_run"]) as rank:
        while request := ray.get(epoch_queue.next_request.remote(group, known, placement_group)):
            known = request.number
            result = rank.train_epoch(request)
            if rank.world.is_first or result.fault:
                ray.get(epoch_queue.report.remote(group, known, result))
            if result.fault:
                raise FaultError(result.fault)  # the others wait for this rank: the group must end


class Rank:
    """One process of a worker group, with its part of the run in hand."""

    def __init__(self, open_run: OpenRun) -> None:
        self.world = World.current()
        self._open_run = open_run
        self._device = str(get_device())
        self._run: Run | None = None
        self._held = ExitStack()

    def __enter__(self) -> Rank:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def train_epoch(self, request: EpochRequest) -> EpochResult:
        """Trains an epoch. A fault here is the result, and ends the whole group."""
        folder = RunFolder.at(request.folder)
        try:
            return self._advance(folder, fresh=request.fresh)
        except Exception as error:
            if is_of_a_peer(error):
                raise  # the lost rank, or the process that ended it, reports the cause
            return EpochResult(fault=fault_of(error, folder.path.parent, host=socket.gethostname()))

    def _advance(self, folder: RunFolder, *, fresh: bool) -> EpochResult:
        if fresh or self._run is None:
            if (unavailable := self._open(folder)) is not None:
                return unavailable
            assert self._run is not None
            if self._run.last_row is not None:  # whether the run goes on after this epoch is not known
                return EpochResult(row=self._run.last_row, restored=True)
        row = self._run.advance()
        if row is None:
            self._held.close()
        return EpochResult(row=row)

    def _open(self, folder: RunFolder) -> EpochResult | None:
        """Opens a run, or returns the result to report where another sweep trains it or has ended it."""
        self._run = None
        self._held.close()
        if not self.world.from_first(self.world.is_first and self._holds(folder)):
            return EpochResult(held_elsewhere=True)
        folder.fetch()
        if self.world.from_first(folder.state is not None):
            self._held.close()
            return EpochResult()
        self._run = self._open_run(folder, self._device, self.world)
        return None

    def _holds(self, folder: RunFolder) -> bool:
        try:
            self._held.enter_context(locked(folder))
        except HeldError:
            return False
        return True


class WorkerGroupTrainable(tune.Trainable):  # type: ignore[misc]
    """A trial whose run a worker group trains. It asks for an epoch per step."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes the settings of a trial; its run is opened at the first step."""
        self._address: str = config["folder"]
        self._folder: RunFolder | None = None
        self._group: int = config["group"]
        self._queue = ray.get_actor(config["epoch_queue"])
        self._fresh = True

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the settings of the next trial in the same actor; always True, for every trial can."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """An epoch's row; ``absent`` where the group had died before: the run goes on in another.

        Raises:
            FaultError: something went wrong. Whether the run has failed is for the driver to say.
        """
        try:
            result = self._ask()
        except Exception as error:
            root = self._folder.path.parent if self._folder else Path.cwd()
            raise FaultError(fault_of(error, root, host=socket.gethostname())) from None
        if result.fault:
            raise FaultError(result.fault)
        if result.held_elsewhere:
            self._fresh = True
            time.sleep(TICK_S)
            return {"row": None, "done": False}
        device = "" if result.restored else "worker group"
        row = as_text(result.row)
        return {"row": row, "device": device, "no_ranks": result.no_ranks, "done": row is None}

    def _ask(self) -> EpochResult:
        folder = self._folder = RunFolder.at(self._address)
        if self._fresh:
            folder.fetch(models=False)
        if folder.state is not None:
            return EpochResult()
        asked = self._queue.request_epoch.remote(self._group, folder.address, self._fresh)
        self._fresh = False
        result: EpochResult = ray.get(asked)
        return result
