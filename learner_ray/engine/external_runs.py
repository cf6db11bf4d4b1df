"""Tests complete final runs on an external cohort, as tasks of Ray: one for each run."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from learner_ray.core.errors import PlaceError, StorageError
from learner_ray.engine.attempts import Attempts
from learner_ray.engine.connection import Devices, start_local
from learner_ray.engine.faults import Fault, Kind, death_of, fault_of
from learner_ray.engine.interrupt import Interrupt
from learner_ray.engine.run_plan import resources_of, slots_of
from learner_ray.engine.trainable import assigned_share, device_name
from learner_ray.engine.tuning import device_count
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.spec import Source
from learner_ray.study.external import External
from learner_ray.study.external_tables import ToTest, left_to_test, write_external_tables
from learner_ray.study.options import SweepOptions
from learner_ray.study.plan import Plan
from learner_ray.study.results import Results
from learner_ray.study.runner import StudyRunner

logger = logging.getLogger(__name__)

LOOKS_EVERY_S = 1.0
"""Seconds between two looks at signals and at tasks that hang."""

Evaluate = Callable[[RunFolder, Source, str], None]
"""Tests the run of a folder on an external cohort, on a device."""


@dataclass
class ExternalOutcome:
    """How the tests on an external cohort went."""

    failed: dict[str, str] = field(default_factory=dict)
    """Why a run could not be tested, by its readable name."""
    signal: int | None = None
    """The signal that ended them early."""


def run_external(
    left: Sequence[ToTest],
    source: Source,
    store: RunStore,
    home: Path,
    options: SweepOptions,
    devices: Devices,
    evaluate: Evaluate | None = None,
) -> ExternalOutcome:
    """Tests final runs on an external cohort, on the devices there are; a task that dies is tried again.

    Args:
        left: the runs, complete ones.
        source: the external cohort's.
        store: the folders of all runs.
        home: the study's results folder.
        options: say how many may run at a time, and after which silence a task hangs.
        devices: those of the study.
        evaluate: tests a run; by default by its stored encoder.

    Raises:
        PlaceError: a fault of the place ended it early; what was tested is kept.
    """
    if not left:
        return ExternalOutcome()
    slots = slots_of(options, devices) if options.devices_per_trial == 1 else devices.slots
    if devices.local and not ray.is_initialized():
        start_local(slots)
    logger.info(f"Testing {len(left)} final runs on the external cohort, {min(slots, len(left))} at a time")
    interrupt = Interrupt(store.root, home)
    pool = _Pool(source, store, resources_of(devices, share=1), evaluate or predict_externally, interrupt)
    with interrupt:
        try:
            pool.work(left, slots, options.hung_after)
        except KeyboardInterrupt:
            interrupt.signal = signal.SIGINT
        finally:
            pool.cancel()
    if interrupt.fault:
        raise interrupt.fault
    return ExternalOutcome(pool.failed, interrupt.signal)


def test_on_external(
    external: External,
    plan: Plan,
    runner: StudyRunner,
    results: Results,
    options: SweepOptions,
    devices: Devices,
) -> ExternalOutcome:
    """Tests all complete final runs of a study on an external cohort that were not tested there yet, and
    writes the tables of those that were.

    Raises:
        PlaceError: a fault of the place ended it early; what was tested is kept.
    """
    try:
        left = left_to_test(runner, external)
        outcome = run_external(left, external.source, runner.store, results.out, options, devices)
    finally:
        if results.out.exists():  # else it was removed meanwhile
            write_external_tables(plan, runner, external, results.out)
    return outcome


def predict_externally(folder: RunFolder, source: Source, device: str) -> None:
    """Tests a run by its stored encoder; PyTorch is loaded in the process that does it."""
    from learner_ray.training.external import predict_externally as predict

    predict(folder, source, device)


class _Pool:
    """The tasks that run now, and what came of those before."""

    def __init__(
        self,
        source: Source,
        store: RunStore,
        resources: Mapping[str, float],
        evaluate: Evaluate,
        interrupt: Interrupt,
    ) -> None:
        self.failed: dict[str, str] = {}
        self._source, self._store, self._evaluate, self._interrupt = source, store, evaluate, interrupt
        self._task = ray.remote(
            num_cpus=resources["cpu"], num_gpus=resources.get("gpu", 0), max_retries=0
        )(_evaluated)  # fmt: skip
        self._attempts = Attempts(device_count)
        self._running: dict[Any, tuple[ToTest, float]] = {}
        """The run of each task, and when it began."""
        self._hung: set[Any] = set()
        self._done = 0

    def work(self, left: Sequence[ToTest], slots: int, hung_after_s: float) -> None:
        """Tests all runs, or as many as there are before the study is interrupted."""
        waiting, alone = list(left), list[ToTest]()
        while (waiting or alone or self._running) and not self._interrupt.stop_all():
            while waiting and len(self._running) < slots:
                self._start(waiting.pop(0))
            if alone and not waiting and not self._running:
                self._start(alone.pop(0))
            ended, _ = ray.wait([*self._running], timeout=LOOKS_EVERY_S)
            for task in ended:
                run, again = self._take(task, hung_after_s)
                if again is not None:
                    (alone if again else waiting).append(run)
                elif run.label not in self.failed and not self._interrupt.stop_all():
                    self._done += 1
                    logger.info(f"{self._done}/{len(left)}  {run.label}: tested on the external cohort")
            self._end_hung(hung_after_s)

    def _start(self, run: ToTest) -> None:
        folder = self._store.folder(run.run_hash)
        self._running[self._task.remote(self._evaluate, folder.address, self._source)] = run, time.monotonic()

    def _take(self, task: Any, hung_after_s: float) -> tuple[ToTest, bool | None]:
        """The run of a task that has ended, and whether it is to be tried again: alone, beside others, or not
        at all (None)."""
        run, _ = self._running.pop(task)
        hung = f"hung: not tested within {hung_after_s:.0f} s" if task in self._hung else ""
        try:
            fault: Fault | None = ray.get(task)
        except ray.exceptions.RayError as error:
            fault = death_of(error, hung=hung)
        if fault is None:
            with self._interrupt.watching_storage():
                self._store.folder(run.run_hash).fetch(models=False)
            return run, None
        verdict = self._attempts.judge(run.label, fault)
        if verdict.stops:
            kind = StorageError if fault.kind is Kind.STORAGE else PlaceError
            elsewhere = f" (on {fault.host})" if fault.host not in ("", socket.gethostname()) else ""
            self._interrupt.stop(kind(f"{verdict.stops}{elsewhere}"))
            return run, None
        if verdict.failed:
            self.failed[run.label] = verdict.failed
            logger.warning(f"{run.label}: not tested on the external cohort: {verdict.failed}")
            return run, None
        logger.warning(f"{run.label}: {fault.reason}; testing it again")
        return run, verdict.alone

    def _end_hung(self, hung_after_s: float) -> None:
        for task, (_, since) in self._running.items():
            if time.monotonic() - since > hung_after_s and task not in self._hung:
                self._hung.add(task)
                ray.cancel(task, force=True)

    def cancel(self) -> None:
        """Ends the tasks that still run; what they have not written is computed again."""
        for task in self._running:
            ray.cancel(task, force=True)


def _evaluated(evaluate: Evaluate, address: str, source: Source) -> Fault | None:
    """Tests one run, in a process of Ray; the fault, if there was one."""
    try:
        from learner_ray.training.process import keep_to_share, training_device

        folder, device = RunFolder.at(address), training_device()
        if device == "cuda":
            keep_to_share(assigned_share())
        folder.fetch()
        evaluate(folder, source, device)
    except Exception as error:
        root = Path(address).parent
        # Each try counts as a process of its own: what happens twice is the run's doing.
        task = str(ray.get_runtime_context().get_task_id())
        return fault_of(error, root, process=task, device=device_name(), host=socket.gethostname())
    return None
