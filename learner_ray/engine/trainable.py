"""The Tune trainable: one run at a time in an actor that is reused for the next."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import ray
from ray import tune

from learner_ray.core.errors import StorageError
from learner_ray.core.locks import HeldError
from learner_ray.engine.faults import FaultError, fault_of
from learner_ray.run.folder import RunFolder, locked

if TYPE_CHECKING:
    from learner_ray.training.run import TrainingRun

TICK_S = 1.0
"""Seconds between two signs of life of a trial that waits."""


class Run(Protocol):
    """A run that is advanced by the epoch until its folder says that it has ended."""

    @property
    def last_row(self) -> dict[str, Any] | None:
        """The progress of the last finished epoch, of before a restart too."""

    def advance(self) -> dict[str, Any] | None:
        """Runs one epoch and returns its progress, or None where the run ended instead."""


class RunTrainable(tune.Trainable):  # type: ignore[misc]
    """Advances one run by an epoch per step. The run's own files hold its state, so Tune saves nothing.

    A run owes nothing to the actor's earlier ones: everything random is keyed by its own configuration. An
    actor in which something went wrong has no next run: it raises, and Tune replaces it.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Takes the settings of a trial; its run is opened at the first step."""
        self._address: str = config["folder"]
        self._folder: RunFolder | None = None
        self._device = device_name()
        self._is_aside = self._device in config.get("aside", ())
        self._run: Run | None = None
        self._held = ExitStack()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the settings of the next trial in the same actor; always True, for every trial can."""
        self._held.close()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """An epoch's ``row``, and the ``device`` that computed it; or a sign of life of a trial that waits.

        That is one whose run another sweep trains, or that holds a device put aside (``parked``).

        Raises:
            FaultError: something went wrong. Whether the run has failed is for the driver to say.
        """
        if self._is_aside:
            time.sleep(TICK_S)
            return {"row": None, "parked": True, "done": False}
        try:
            row, device = self._advance()
        except HeldError:
            time.sleep(TICK_S)
            return {"row": None, "done": self._folder is not None and self._folder.state is not None}
        except Exception as error:
            raise FaultError(self._fault(error)) from None
        if row is None:
            self.cleanup()
        return {"row": as_text(row), "device": device, "done": row is None}

    def _fault(self, error: Exception) -> Any:
        root = self._folder.path.parent if self._folder else Path.cwd()
        fault = fault_of(error, root, process=process_name(), device=self._device, host=socket.gethostname())
        self.cleanup()
        return fault

    def _advance(self) -> tuple[dict[str, Any] | None, str]:
        """The next epoch and where it was computed, or the last one of before a restart, and nowhere."""
        if self._run is None:
            folder = self._folder = RunFolder.at(self._address)
            self._held.enter_context(locked(folder))
            folder.fetch()
            if folder.state is not None:
                return None, ""
            self._run = self.open(folder)
            if self._run.last_row is not None:
                return self._run.last_row, ""  # whether it goes on after this epoch is not known
        assert self._folder is not None
        if self._folder.state is not None:
            return None, ""
        if not self._folder.path.exists():
            raise StorageError(f"{self._folder.path} was removed, or its storage has gone")
        return self._run.advance(), self._device

    def open(self, folder: RunFolder) -> Run:
        """The run of a folder. Benchmarks and tests of the engine have runs that take their own time."""
        return training_run(folder)

    def cleanup(self) -> None:
        """Drops the run and lets go of its folder."""
        self._run = None
        self._held.close()


def as_text(row: dict[str, Any] | None) -> str | None:
    """A row of progress as Tune passes it on unchanged: of a dictionary it makes one key for each of its
    values."""
    return None if row is None else json.dumps(row)


def process_name() -> str:
    """A name of this process that no other process of the cluster has or has had."""
    return str(ray.get_runtime_context().get_worker_id())


def device_name() -> str:
    """The name of the device that may be put aside: this process's GPU, or its node where it has none."""
    node = f"{socket.gethostname()} (node {ray.get_runtime_context().get_node_id()[:8]})"
    gpus = ", ".join(str(gpu) for gpu in ray.get_gpu_ids())
    return f"GPU {gpus} of {node}" if gpus else node


def training_run(folder: RunFolder, kind: type[TrainingRun] | None = None) -> TrainingRun:
    """The run of a folder, on the device or the part of a GPU that Ray has given this process."""
    from learner_ray.training.process import keep_to_share, training_device
    from learner_ray.training.run import TrainingRun

    device = training_device()
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0)
    if device == "cuda":
        keep_to_share(share)
    run = (kind or TrainingRun)(folder.read_spec(), folder, device)
    run.devices = share
    return run
