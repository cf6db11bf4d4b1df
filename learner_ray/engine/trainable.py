"""The Tune trainable: one run at a time in an actor that is reused for the next."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from typing import Any

import ray
import torch
from ray import tune

from learner_ray.errors import StorageError
from learner_ray.files import storage_fault, write_atomic
from learner_ray.study.runs import RunFolder
from learner_ray.training.process import keep_to_share
from learner_ray.training.run import TrainingRun, locked


class RunTrainable(tune.Trainable):  # type: ignore[misc]
    """Advances one run by an epoch per step. The run's own files hold its state, so Tune saves nothing.

    A run owes nothing to the actor's earlier ones: everything random is keyed by its own configuration.
    """

    run_class: type[TrainingRun] = TrainingRun
    """Benchmarks put one here that takes its own time."""

    def setup(self, config: dict[str, Any]) -> None:
        self._folder = RunFolder.at(config["folder"])
        self._run: TrainingRun | None = None
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
            device = "cuda" if torch.cuda.is_available() else "cpu"
            share = ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0)
            if device == "cuda":
                keep_to_share(share)
            self._run = self.run_class(self._folder.read_spec(), self._folder, device)
            self._run.devices = share
            if self._run.last_row is not None:
                return self._run.last_row  # a restarted run: whether it goes on after this epoch is not known
        return self._run.advance()

    def cleanup(self) -> None:
        self._run = None
        self._held.close()
