"""The Tune trainable: one run at a time in an actor that is reused for the next."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from ray import tune

from learner_ray.errors import StorageError
from learner_ray.files import storage_fault, write_atomic
from learner_ray.study.runs import RunFolder, locked

if TYPE_CHECKING:
    from learner_ray.training.run import TrainingRun


class Run(Protocol):
    """What is advanced by the epoch until its folder says that it has ended."""

    @property
    def last_row(self) -> dict[str, Any] | None:
        """The progress of the last finished epoch, of before a restart too."""

    def advance(self) -> dict[str, Any] | None:
        """Runs one epoch and returns its progress, or None where the run ended instead."""


class RunTrainable(tune.Trainable):  # type: ignore[misc]
    """Advances one run by an epoch per step. The run's own files hold its state, so Tune saves nothing.

    A run owes nothing to the actor's earlier ones: everything random is keyed by its own configuration.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self._folder = RunFolder.at(config["folder"])
        self._run: Run | None = None
        self._held = ExitStack()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._held.close()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            row = self._advance()
        except Exception as error:
            fault = self._fail(error, traceback.format_exc())
            if fault:
                self.cleanup()
                return {"row": None, "storage": fault, "done": True}
            row = None
        if row is None:
            self.cleanup()
        return {"row": row, "done": row is None}

    def _fail(self, error: Exception, trace: str) -> str:
        """Writes down that the run has failed; or returns what is wrong with the storage, for then it has not
        and goes on when the storage is back.
        """
        root = self._folder.path.parent
        fault = storage_fault(error, root)
        if fault:
            return fault
        try:
            write_atomic(self._folder.path / "error.txt", trace)
            self._folder.publish("error.txt")
            self._folder.finish("failed", f"{type(error).__name__}: {error}".splitlines()[0])
        except (OSError, StorageError) as broken:
            return storage_fault(broken, root) or f"{root}: {broken}"
        return ""

    def _advance(self) -> dict[str, Any] | None:
        if self._run is None:
            self._held.enter_context(locked(self._folder))
            self._folder.fetch()
        if self._folder.state is not None:
            return None
        if self._run is None:
            self._run = self.open(self._folder)
            if self._run.last_row is not None:
                return self._run.last_row  # a restarted run: whether it goes on after this epoch is not known
        return self._run.advance()

    def open(self, folder: RunFolder) -> Run:
        """The run of a folder. Benchmarks and tests of the engine have runs that take their own time."""
        return training_run(folder)

    def cleanup(self) -> None:
        self._run = None
        self._held.close()


def training_run(folder: RunFolder, kind: type[TrainingRun] | None = None) -> TrainingRun:
    """The run of a folder, on the device or the part of a GPU that Ray has given this process."""
    import ray
    import torch

    from learner_ray.training.process import keep_to_share
    from learner_ray.training.run import TrainingRun

    device = "cuda" if torch.cuda.is_available() else "cpu"
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0)
    if device == "cuda":
        keep_to_share(share)
    run = (kind or TrainingRun)(folder.read_spec(), folder, device)
    run.devices = share
    return run
