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
from learner_ray.engine.epoch_queue import HOPELESS_AFTER, EpochQueue, EpochRequest, EpochResult
from learner_ray.engine.faults import Fault, FaultError, Kind, death_of, fault_of, is_of_a_peer
from learner_ray.engine.trainable import TICK_S, Run, as_text
from learner_ray.run.folder import RunFolder, locked
from learner_ray.training.distributed import World

logger = logging.getLogger(__name__)

TRIAL_CPUS = 0.01
"""Of a trial, which only passes orders on. Each rank takes so much less than a CPU: N CPUs hold both."""
LEAVE_S = 20.0
"""Ranks that have not left by then, in a long epoch say, end with the driver."""
PAUSE_S = 30.0
"""The longest pause before a worker group that keeps dying is started again."""
NO_DEVICES = "not enough free devices for one worker group"
STARTS = 5
"""Tries of Train, a minute each, to get a worker group's resources."""

Opens = Callable[[RunFolder, str, World], Run]


class WorkerGroups:
    """The worker groups of a study, while the context lasts.

    Args:
        groups: how many runs are trained at a time.
        size: ranks of each, one per device.
        gpu: whether devices are GPUs, each beside a CPU, or CPUs.
        scratch: a folder that all nodes share, for Train's own files.
        opens: makes a rank's part of a run from its folder, its device and the world. Tests of the engine
            have runs that take no time.
    """

    def __init__(
        self, groups: int, size: int, *, gpu: bool, scratch: Path, opens: Opens | None = None
    ) -> None:
        self.groups = groups
        self.name = f"epoch_queue-{uuid.uuid4().hex}"
        self._size = size
        self.gpu = gpu
        self._scratch = scratch
        self._opens = opens or training_run
        self._leaving = threading.Event()
        self._entered = ExitStack()
        self._told: set[str] = set()
        """Why groups did not start."""
        self._threads = [threading.Thread(target=self._keep, args=(k,), daemon=True) for k in range(groups)]

    def __enter__(self) -> WorkerGroups:
        self._entered.enter_context(ray_private.environment(ray_private.TRAIN_SETTINGS, override=False))
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "name": self.name, "scheduling_strategy": here, "max_concurrency": 10_000}
        self._dispatcher = ray.remote(EpochQueue).options(**options).remote(self.groups, HOPELESS_AFTER)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        ray.get(self._dispatcher.close.remote())
        until = time.monotonic() + LEAVE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._entered.close()

    def _keep(self, group: int) -> None:
        """Has one worker group at work until all leave; starts it again when it dies."""
        deaths = 0
        while not self._leaving.is_set():
            try:
                self._trainer(group).fit()
                if self._leaving.is_set():
                    return
                fault = Fault(kind=Kind.DEATH, reason="its ranks left")
            except Exception as error:  # whatever it was, a trial or the user must hear of it
                fault = why(error, self._scratch.parent)
            deaths += 1
            try:
                placement_group = ray.get(self._dispatcher.lose.remote(group, fault))
                free(placement_group)
            except ray.exceptions.RayError:
                return  # so has the driver's own Ray
            if not placement_group and fault.reason not in self._told:
                self._told.add(fault.reason)
                logger.warning(f"a worker group of {self._size} devices did not start: {fault.reason}")
            self._leaving.wait(min(PAUSE_S, 2.0 ** (deaths - 1)) if deaths > 1 else 0)

    def _trainer(self, group: int) -> TorchTrainer:
        cpus = 1 - TRIAL_CPUS
        return TorchTrainer(
            work,
            train_loop_config={"epoch_queue": self.name, "group": group, "opens": self._opens},
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
                    max_failures=0, max_preemption_failures=0, controller_failure_limit=STARTS
                ),
            ),
        )


def training_run(folder: RunFolder, device: str, world: World) -> Run:
    """A rank's part of a run that really trains."""
    from learner_ray.training.run import TrainingRun

    return TrainingRun(folder.read_spec(), folder, device, world)


def why(error: Exception, root: Path) -> Fault:
    """What ended a worker group: of the rank that died, where the others only missed it."""
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
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
    return Fault(kind=Kind.DEATH, reason=reason)


def free(placement_group: str) -> None:
    """Ends what is left of a group's ranks, and gives back their devices."""
    if placement_group:
        remove_placement_group(ray_private.placement_group_of(placement_group))


def work(config: dict[str, Any]) -> None:
    """What every rank does: one epoch of some run after the other, all ranks the same."""
    epoch_queue, group = ray.get_actor(config["epoch_queue"]), config["group"]
    placement_group = ray.util.get_current_placement_group().id.hex()
    number = 0
    with Rank(config["opens"]) as rank:
        while (request := ray.get(epoch_queue.take.remote(group, number, placement_group))) is not None:
            number = request.number
            answer = rank.carry_out(request)
            if rank.world.is_first or answer.fault:
                ray.get(epoch_queue.answer.remote(group, number, answer))
            if answer.fault:
                raise FaultError(answer.fault)  # the others wait for this rank: the group must end


class Rank:
    """One process of a worker group, with its part of the run in hand."""

    def __init__(self, opens: Opens) -> None:
        self.world = World.current()
        self._opens = opens
        self._device = str(get_device())
        self._run: Run | None = None
        self._held = ExitStack()

    def __enter__(self) -> Rank:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def carry_out(self, request: EpochRequest) -> EpochResult:
        """Trains an epoch. What goes wrong here is answered, and ends the whole group."""
        folder = RunFolder.at(request.folder)
        try:
            return self._advance(folder, fresh=request.fresh)
        except Exception as error:
            if is_of_a_peer(error):
                raise  # the rank that has gone, or whoever ended it, has more to say
            return EpochResult(fault=fault_of(error, folder.path.parent, host=socket.gethostname()))

    def _advance(self, folder: RunFolder, *, fresh: bool) -> EpochResult:
        if fresh or self._run is None:
            if (not_opened := self._open(folder)) is not None:
                return not_opened
            assert self._run is not None
            if self._run.last_row is not None:  # whether the run goes on after this epoch is not known
                return EpochResult(row=self._run.last_row, restored=True)
        row = self._run.advance()
        if row is None:
            self._held.close()
        return EpochResult(row=row)

    def _open(self, folder: RunFolder) -> EpochResult | None:
        """Why the run cannot be had, if it cannot: another sweep trains it, or has trained it."""
        self._run = None
        self._held.close()
        if not self.world.told(self.world.is_first and self._holds(folder)):
            return EpochResult(waiting=True)
        folder.fetch()
        if self.world.told(folder.state is not None):
            self._held.close()
            return EpochResult()
        self._run = self._opens(folder, self._device, self.world)
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
        self._address: str = config["folder"]
        self._folder: RunFolder | None = None
        self._group: int = config["group"]
        self._dispatcher = ray.get_actor(config["epoch_queue"])
        self._fresh = True

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """An epoch's row; ``absent`` where the group had died before: the run goes on in another.

        Raises:
            FaultError: something went wrong. Whether the run has failed is for the driver to say.
        """
        try:
            answer = self._ask()
        except Exception as error:
            root = self._folder.path.parent if self._folder else Path.cwd()
            raise FaultError(fault_of(error, root, host=socket.gethostname())) from None
        if answer.fault:
            raise FaultError(answer.fault)
        if answer.waiting:
            self._fresh = True
            time.sleep(TICK_S)
            return {"row": None, "done": False}
        device = "" if answer.restored else "worker group"
        row = as_text(answer.row)
        return {"row": row, "device": device, "absent": answer.absent, "done": row is None}

    def _ask(self) -> EpochResult:
        folder = self._folder = RunFolder.at(self._address)
        if self._fresh:
            folder.fetch(models=False)
        if folder.state is not None:
            return EpochResult()
        asked = self._dispatcher.ask.remote(self._group, folder.address, self._fresh)
        self._fresh = False
        answer: EpochResult = ray.get(asked)
        return answer
