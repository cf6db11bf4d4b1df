"""One process per GPU that trains several runs side by side, each in a thread on a CUDA stream.

The trials that share the GPU hold its parts for Ray's scheduling and ask the host for their epochs. The host
holds the locks of the runs' folders, since it writes. A trial that dies or is stopped leaves its run behind:
the host drops it, at once or, in the middle of an epoch, after that epoch; until then the next attempt at the
run, here or on another GPU, waits as for another sweep's.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learner_ray.core.locks import HeldError
from learner_ray.engine.epoch_queue import EpochResult
from learner_ray.engine.faults import Fault, Kind, fault_of, ruins_its_process
from learner_ray.engine.locked_run import LockedRun, Run
from learner_ray.run.folder import RunFolder

LOOK_S = 0.5
"""Seconds between two looks at whether the trials that asked for runs still live."""
ENDS_AFTER_S = 1.0
"""Seconds in which a host whose GPU raised an error answers its trials before it ends."""

OpenRun = Callable[[RunFolder, float], Run]
"""Opens the run of a folder, which records that it has this part of the GPU."""


@dataclass(frozen=True, kw_only=True)
class HostedEpoch:
    """A trial's request to train the next epoch of its run."""

    trial: str
    """Names the trial's attempt; no other attempt has the same name."""
    process: int
    """The trial's process, on the host's node."""
    folder: str
    """The address of the run's folder."""
    share: float
    """The part of the GPU that the trial holds."""


class _Hosted:
    """A run in hand, in a thread of its own."""

    def __init__(self, asked: HostedEpoch, name: str, thread: ThreadPoolExecutor, open_run: OpenRun) -> None:
        self.trial, self.process, self.name = asked.trial, asked.process, name
        self.thread = thread
        self.in_epoch = False
        self.unwanted = False
        """Whether nobody asks for the run any more."""
        self.run = LockedRun(asked.folder, lambda folder: open_run(folder, asked.share))

    def train(self) -> EpochResult:
        """Trains an epoch, in the run's own thread."""
        row, restored = self.run.advance()
        return EpochResult(row=row, restored=restored)


class GpuHost:
    """An asynchronous actor that trains the runs of one GPU; what it knows changes in its event loop alone.

    Args:
        gpu: what ``CUDA_VISIBLE_DEVICES`` is in the trials of that GPU.
        name: of this process; no other one has had it.
        open_run: opens a run. Tests of the engine have runs that take no time.
    """

    def __init__(self, gpu: str, name: str, open_run: OpenRun) -> None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before CUDA is asked for anything
        self._name = name
        self._open_run = open_run
        self._runs: dict[str, _Hosted] = {}
        """The runs in hand by the addresses of their folders."""
        self._free: list[ThreadPoolExecutor] = []
        self._opened = 0
        self._ruined: asyncio.Future[Fault] | None = None
        """The fault of every run in hand, once the GPU raised an error for one."""
        self._looks: asyncio.Task[None] | None = None

    async def is_well(self) -> bool:
        """Whether it can take a run."""
        return self._ruined is None or not self._ruined.done()

    async def runs_in_hand(self) -> int:
        """How many runs are in hand."""
        return len(self._runs)

    async def train_epoch(self, asked: HostedEpoch) -> EpochResult:
        """Trains the next epoch of a trial's run. A fault here is the result."""
        self._ruined = self._ruined or asyncio.get_running_loop().create_future()
        self._looks = self._looks or asyncio.create_task(self._look_after_trials())
        if self._ruined.done():
            return EpochResult(fault=self._ruined.result())
        hosted = self._taken(asked)
        if hosted is None:
            return EpochResult(held_elsewhere=True)
        result = await self._trained(hosted, self._ruined)
        if result.row is None or hosted.unwanted:
            self._drop(asked.folder, hosted)
        return result

    def _taken(self, asked: HostedEpoch) -> _Hosted | None:
        """The run that was asked for; None where an earlier attempt is still in an epoch of it."""
        hosted = self._runs.get(asked.folder)
        if hosted is not None and hosted.trial == asked.trial:
            return hosted
        if hosted is not None:
            self._unwant(asked.folder, hosted)
            if hosted.in_epoch:
                return None
        self._opened += 1
        thread = self._free.pop() if self._free else _own_thread()
        hosted = _Hosted(asked, f"{self._name}/{self._opened}", thread, self._open_run)
        self._runs[asked.folder] = hosted
        return hosted

    async def _trained(self, hosted: _Hosted, ruined: asyncio.Future[Fault]) -> EpochResult:
        hosted.in_epoch = True
        epoch = asyncio.get_running_loop().run_in_executor(hosted.thread, hosted.train)
        either: set[asyncio.Future[Any]] = {epoch, ruined}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if ruined.done():
            return EpochResult(fault=ruined.result())  # and stays in its epoch: this process ends
        hosted.in_epoch = False
        error = epoch.exception()
        if error is None:
            return epoch.result()
        if isinstance(error, HeldError):
            return EpochResult(held_elsewhere=True)
        return EpochResult(fault=self._judged(error, hosted, ruined))

    def _judged(self, error: BaseException, hosted: _Hosted, ruined: asyncio.Future[Fault]) -> Fault:
        """The fault of a run. An error of the GPU ends this process, for it shows in whichever run asks next:
        beside others it is nobody's, and all are tried again alone, where it is plain whose it is."""
        folder = hosted.run.folder
        root = folder.path.parent if folder else Path.cwd()
        fault = fault_of(error, root, process=hosted.name, host=socket.gethostname())
        if not ruins_its_process(error):
            return fault
        if len(self._runs) > 1:
            reason = f"the process that trained several runs on its GPU had an error of it ({fault.reason})"
            fault = Fault(kind=Kind.DEATH, reason=reason, process=self._name, host=fault.host)
        ruined.set_result(fault)
        asyncio.get_running_loop().call_later(ENDS_AFTER_S, self._end)
        return fault

    def _end(self) -> None:
        """Ends this process, which no exception could: threads may be in an epoch."""
        os._exit(1)

    async def let_go(self, trial: str) -> None:
        """Drops the run of a trial that was stopped."""
        for address, hosted in list(self._runs.items()):
            if hosted.trial == trial:
                self._unwant(address, hosted)

    async def _look_after_trials(self) -> None:
        while True:
            for address, hosted in list(self._runs.items()):
                if not _lives(hosted.process):
                    self._unwant(address, hosted)
            await asyncio.sleep(LOOK_S)

    def _unwant(self, address: str, hosted: _Hosted) -> None:
        hosted.unwanted = True
        if not hosted.in_epoch:
            self._drop(address, hosted)

    def _drop(self, address: str, hosted: _Hosted) -> None:
        """Lets go of a run that is in no epoch, and keeps its thread for the next."""
        if hosted.in_epoch or self._runs.get(address) is not hosted:
            return
        del self._runs[address]
        hosted.run.close()
        self._free.append(hosted.thread)


def _own_thread() -> ThreadPoolExecutor:
    from learner_ray.training.side_by_side import own_thread

    return own_thread()


def _lives(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
