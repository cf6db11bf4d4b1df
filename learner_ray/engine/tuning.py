"""Runs a study's tasks as one Tune experiment."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.air.execution._internal import actor_manager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher, SearchGenerator

from learner_ray.engine.dispatcher import Up
from learner_ray.engine.trainable import RunTrainable
from learner_ray.engine.watchdog import Clock, Watchdog
from learner_ray.errors import StorageError, UserError
from learner_ray.files import storage_fault
from learner_ray.study.coordinator import Coordinator
from learner_ray.study.group import Task

if TYPE_CHECKING:  # Ray Train, which takes a second to load and a study of one device per trial does not need
    from learner_ray.engine.worker_groups import WorkerGroups

TRIALS_PER_RUN = 10
"""At most. To Tune every retry is a trial, and so is a run that was handed to a group too late."""
RETRIES = 1
"""How often a run goes on from its checkpoint after the loss of its process or worker group."""
DIED = "its process died (out of memory, or killed)"


class Interrupt(tune.Stopper):  # type: ignore[misc]
    """Ends the experiment on SIGINT, on SIGTERM, when nobody reads the output, when the storage fails or
    where no worker group starts; the caller says how to go on.
    """

    def __init__(self, root: Path) -> None:
        self.signal: int | None = None
        self.fault = ""
        """What is wrong with the storage."""
        self.hopeless = ""
        """Why no worker group starts."""
        self._root = root

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.signal is not None or bool(self.fault or self.hopeless)

    @contextmanager
    def watching_storage(self) -> Iterator[None]:
        """Ends the experiment, instead of with a traceback of Tune's, where the driver cannot write."""
        try:
            yield
        except BrokenPipeError:  # nobody reads what we print any more
            self.signal = signal.SIGPIPE
        except (OSError, StorageError) as error:
            fault = storage_fault(error, self._root)
            if not fault:
                raise
            self.fault = self.fault or fault

    def __enter__(self) -> Interrupt:
        self._before = {s: signal.signal(s, self._receive) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt  # asked a second time: at once
        self.signal = number


class TaskSearcher(Searcher):  # type: ignore[misc]
    """Gives Tune the coordinator's next task as a trial, and tells it when the trial is over."""

    def __init__(
        self,
        coordinator: Coordinator,
        watchdog: Watchdog,
        interrupt: Interrupt,
        worker_groups: WorkerGroups | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        self._watchdog = watchdog
        self.interrupt = interrupt
        self.tasks: dict[str, Task] = {}
        self.coordinator = coordinator
        # By name: Tune pickles the searcher.
        self._dispatcher = worker_groups.name if worker_groups else ""
        self._taken: dict[str, tuple[int, str]] = {}
        """By trial, the worker group that trains it, with its placement group."""
        self._limit = limit
        self._again: list[Task] = []
        self._deaths: dict[str, list[str]] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        with self.interrupt.watching_storage():
            return self._suggest(trial_id)
        return str(Searcher.FINISHED)

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        # While nothing runs Tune asks for minutes, and looks at nothing else.
        if self.coordinator.is_done or self.interrupt.stop_all():
            return str(Searcher.FINISHED)
        if self._limit and len(self.tasks) >= self._limit:
            return None
        taken = self._free_group() if self._dispatcher else None
        if self._dispatcher and taken is None:
            return None
        task = self._again.pop() if self._again else self.coordinator.next_task()
        if task is None:
            return str(Searcher.FINISHED) if self.coordinator.is_done else None
        self.tasks[trial_id] = task
        folder = self.coordinator.store.folder(task.spec.hash)
        folder.write_spec(task.spec)
        config: dict[str, Any] = {"folder": folder.address}
        if taken is None:
            return config
        self._taken[trial_id] = taken
        return config | {"dispatcher": self._dispatcher, "group": taken[0]}

    def _free_group(self) -> tuple[int, str] | None:
        """A worker group that has come up and trains nothing."""
        up: Up = ray.get(ray.get_actor(self._dispatcher).up.remote())
        self.interrupt.hopeless = up.hopeless
        taken = {group for group, _ in self._taken.values()}
        return next((found for found in up.groups.items() if found[0] not in taken), None)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        task, said = self.tasks.pop(trial_id), result or {}
        taken = self._taken.pop(trial_id, None)
        self.interrupt.fault = self.interrupt.fault or said.get("storage", "")
        death = said.get("lost", "")
        if error:
            death = self._watchdog.reason(trial_id) or DIED
        if error and taken is not None:
            self._end_group(*taken, death)
        if said.get("absent"):
            self._again.append(task)
            return
        with self.interrupt.watching_storage():
            self.coordinator.store.folder(task.spec.hash).fetch(models=False)
            if not (death and self._retries(task, death)):
                self.coordinator.ended(task)

    def _end_group(self, group: int, placement_group: str, reason: str) -> None:
        """Of a trial that has died: its ranks may live, hang, and hold the run."""
        from learner_ray.engine.worker_groups import free

        if ray.get(ray.get_actor(self._dispatcher).end.remote(group, placement_group, reason)):
            free(placement_group)

    def _retries(self, task: Task, reason: str) -> bool:
        """Whether a task whose process died is tried again; if not, it has failed.

        Retries are ours, each a new trial to Tune, which would count an actor that dies between two runs as
        two failures of the second.
        """
        deaths = self._deaths.setdefault(task.label, [])
        deaths.append(reason)
        if len(deaths) <= RETRIES:
            self._again.append(task)
            print(f"{task.label}: {reason}; starting it again", flush=True)
            return True
        why = deaths[0] if len(set(deaths)) == 1 else "; then ".join(deaths)
        self.coordinator.store.folder(task.spec.hash).finish("failed", f"{why}, {len(deaths)} times")
        return False

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the runs' own files are the state, and a resumed study asks anew."""


class GroupScheduler(FIFOScheduler):  # type: ignore[misc]
    """Asks the coordinator after every epoch whether the trial goes on."""

    def __init__(self, searcher: TaskSearcher) -> None:
        super().__init__()
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # Tune hands results over flattened.
        row = {key.removeprefix("row/"): value for key, value in result.items() if key.startswith("row/")}
        task = self._searcher.tasks[trial.trial_id]
        keeps = False
        with self._searcher.interrupt.watching_storage():
            keeps = not row or self._searcher.coordinator.row(task, row)
        return str(FIFOScheduler.CONTINUE if keeps else FIFOScheduler.STOP)


def run_tasks(
    coordinator: Coordinator,
    *,
    scratch: Path,
    max_concurrent: int,
    resources: Mapping[str, float],
    trainable: type[tune.Trainable] = RunTrainable,
    worker_groups: WorkerGroups | None = None,
    hung_after_s: float = math.inf,
    limit: int | None = None,
    clock: Clock = time.monotonic,
) -> int | None:
    """Runs all tasks to their end.

    Args:
        coordinator: hands out the tasks.
        scratch: a folder for Tune's own files, removed afterwards; they are never read.
        max_concurrent: trials at a time.
        resources: of a trial: ``cpu`` and ``gpu``.
        trainable: what advances a run.
        worker_groups: train the runs instead, on several devices each.
        hung_after_s: silence after which a trial is taken to hang.
        limit: trials at a time, where fewer than the devices hold are wanted.
        clock: by which silence is measured, in seconds.

    Returns:
        The signal that ended the study early, or None.

    Raises:
        StorageError: the storage failed; whatever had ended is kept.
        UserError: no worker group could be started, or none lasted.
    """
    _settle_tune(max_concurrent)
    watchdog = Watchdog(hung_after_s, clock)
    interrupt = Interrupt(coordinator.store.root)
    searcher = TaskSearcher(coordinator, watchdog, interrupt, worker_groups, limit)
    if worker_groups:
        from learner_ray.engine.worker_groups import TRIAL_CPUS, WorkerGroupTrainable

        trainable, resources = WorkerGroupTrainable, {"cpu": TRIAL_CPUS}
    with interrupt:
        tuner = tune.Tuner(
            tune.with_resources(trainable, dict(resources)),
            tune_config=tune.TuneConfig(
                search_alg=SearchGenerator(searcher),
                scheduler=GroupScheduler(searcher),
                num_samples=TRIALS_PER_RUN * coordinator.remaining,
                reuse_actors=True,
            ),
            run_config=_run_config(scratch, interrupt, watchdog),
        )
        try:
            with interrupt.watching_storage(), worker_groups or nullcontext():
                tuner.fit()
        except KeyboardInterrupt:
            interrupt.signal = signal.SIGINT
    shutil.rmtree(scratch, ignore_errors=True)
    _raise_what_ended_it(interrupt, coordinator)
    return interrupt.signal


def _raise_what_ended_it(interrupt: Interrupt, coordinator: Coordinator) -> None:
    """Nothing, where all tasks have ended or a signal came."""
    if interrupt.fault:
        raise StorageError(interrupt.fault)
    if interrupt.hopeless:
        raise UserError(f"no worker group of the devices asked for could be started: {interrupt.hopeless}")
    if not (interrupt.stop_all() or coordinator.is_done):
        raise UserError("worker groups came and went too often; all that has ended is kept: go on later")


def _run_config(scratch: Path, interrupt: Interrupt, watchdog: Watchdog) -> tune.RunConfig:
    return tune.RunConfig(
        name="study",
        storage_path=str(scratch),
        stop=interrupt,
        callbacks=[watchdog],
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    )


def _is_no_death(record: logging.LogRecord) -> bool:
    """Errors of another kind keep their traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], RayActorError | OutOfMemoryError))


def _settle_tune(max_concurrent: int) -> None:
    """What Tune reads from the environment, and what it need not say."""
    # Tune's own SIGINT handler would let fit() return as if the study were complete.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max_concurrent)
    os.environ["TUNE_WARN_THRESHOLD_S"] = "10"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the progress shown is ours
    # Processes that died, and storage that failed, are told once, by us, without a traceback.
    for name in ("execution.experiment_state", "tune"):
        logging.getLogger(f"ray.tune.{name}").setLevel(logging.CRITICAL)
    logging.getLogger("ray.tune.execution.tune_controller").addFilter(_is_no_death)
    # Before a node runs out of memory Ray ends a process there. Tune does not take its error for the death of
    # an actor, and would end the whole study with it (seen with Ray 2.60).
    for module in (actor_manager, tune_controller):
        module.RayActorError = (RayActorError, OutOfMemoryError)
