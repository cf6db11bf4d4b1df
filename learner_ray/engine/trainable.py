"""The Tune trainable: one run at a time in an actor that is reused for the next."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from learner_ray.core.locks import HeldError
from learner_ray.engine.faults import Fault, FaultError, fault_of
from learner_ray.engine.locked_run import LockedRun, Run, RunInHand
from learner_ray.run.folder import RunFolder

if TYPE_CHECKING:
    from learner_ray.training.run import TrainingRun

TICK_S = 1.0
"""Seconds between two signs of life of a trial that waits."""


class RunTrainable(tune.Trainable):  # type: ignore[misc]
    """Advances one run by an epoch per step. The run's own files hold its state, so Tune saves nothing.

    A run owes nothing to the actor's earlier ones: everything random is keyed by its own configuration. An
    actor in which something went wrong has no next run: it raises, and Tune replaces it.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Takes the settings of a trial; its run is opened at the first step."""
        self._address: str = config["folder"]
        self._device = device_name()
        self._is_aside = self._device in config.get("aside", ())
        self._held = self.take()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the settings of the next trial in the same actor; always True, for every trial can."""
        self.cleanup()
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
            return {"row": None, "done": self._has_ended()}
        except FaultError:
            self.cleanup()
            raise
        except Exception as error:
            raise FaultError(self._fault(error)) from None
        if row is None:
            self.cleanup()
        return {"row": as_text(row), "device": device, "done": row is None}

    def _has_ended(self) -> bool:
        return self._held.folder is not None and self._held.folder.state is not None

    def _fault(self, error: Exception) -> Fault:
        root = self._held.folder.path.parent if self._held.folder else Path.cwd()
        fault = fault_of(error, root, process=process_name(), device=self._device, host=socket.gethostname())
        self.cleanup()
        return fault

    def _advance(self) -> tuple[dict[str, Any] | None, str]:
        """The next epoch and where it was computed, or the last one of before a restart, and nowhere."""
        row, restored = self._held.advance()
        return row, "" if restored or row is None else self._device

    def take(self) -> RunInHand:
        """The run of this trial, before its first epoch."""
        return LockedRun(self._address, self.open)

    def open(self, folder: RunFolder) -> Run:
        """The run of a folder. Benchmarks and tests of the engine have runs that take their own time."""
        return training_run(folder)

    def cleanup(self) -> None:
        """Drops the run and lets go of its folder."""
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

    if training_device() == "cuda":
        keep_to_share(assigned_share())
    return open_run(folder, assigned_share(), kind)


def assigned_share() -> float:
    """The part of a GPU that Ray has given this process; 1 where there is none."""
    return float(ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0))


def open_run(folder: RunFolder, share: float, kind: type[TrainingRun] | None = None) -> TrainingRun:
    """The run of a folder, which records that it has this part of a device."""
    from learner_ray.training.process import training_device
    from learner_ray.training.run import TrainingRun

    run = (kind or TrainingRun)(folder.read_spec(), folder, training_device())
    run.devices = share
    return run
