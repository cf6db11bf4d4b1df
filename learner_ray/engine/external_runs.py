"""Tests complete final runs on an external cohort, in actors of Ray that test one run after the other."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray

from learner_ray.core.errors import PlaceError, StorageError
from learner_ray.core.modes import stay_closed_to_others
from learner_ray.engine.attempts import Attempts
from learner_ray.engine.connection import Devices, start_local
from learner_ray.engine.faults import Fault, Kind, death_of, fault_of
from learner_ray.engine.interrupt import Interrupt
from learner_ray.engine.on_demand import OnDemandNodes, on_demand_nodes
from learner_ray.engine.run_plan import resources_of, slots_of
from learner_ray.engine.trainable import assigned_share, device_name, process_name
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
"""Seconds between two looks at signals and at tests that hang."""

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
    """Tests final runs on an external cohort, on the devices there are; one whose process dies is tested
    again.

    Args:
        left: the runs, complete ones.
        source: the external cohort's.
        store: the folders of all runs.
        home: the study's results folder.
        options: say how many may run at a time, and after which time a test hangs.
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
    on_demand = on_demand_nodes(options, lambda: min(slots, len(left) - pool.tested))
    with interrupt, on_demand or nullcontext():
        try:
            pool.work(left, slots, options.hung_after, on_demand)
        except KeyboardInterrupt:
            interrupt.signal = signal.SIGINT
        finally:
            pool.end()
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
        source = replace(external.source, study_file=plan.study.file)
        outcome = run_external(left, source, runner.store, results.out, options, devices)
    finally:
        if results.out.exists():  # else it was removed meanwhile
            write_external_tables(plan, runner, external, results.out)
    return outcome


def predict_externally(folder: RunFolder, source: Source, device: str) -> None:
    """Tests a run by its stored encoder; PyTorch is loaded in the process that does it."""
    from learner_ray.training.external import predict_externally as predict

    predict(folder, source, device)


@dataclass(frozen=True, kw_only=True)
class _Try:
    """A test that is under way."""

    run: ToTest
    tester: Any
    """The actor that tests the run."""
    since: float | None = None
    """When the test began; None while the process of the tester starts, for which a device may be missing."""


class _Pool:
    """The tests that are under way, and what came of those before."""

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
        self._tester = ray.remote(num_cpus=resources["cpu"], num_gpus=resources.get("gpu", 0))(_Tester)
        self._attempts = Attempts(device_count)
        self._tries: dict[Any, _Try] = {}
        """The tests under way, by what Ray gives for their results."""
        self._idle: list[Any] = []
        self._hung: set[Any] = set()
        self.tested = 0
        """Runs that have been tested."""

    def work(
        self, left: Sequence[ToTest], slots: int, hung_after_s: float, on_demand: OnDemandNodes | None
    ) -> None:
        """Tests all runs, or as many as there are before the study is interrupted."""
        waiting, alone = list(left), list[ToTest]()
        while (waiting or alone or self._tries) and not self._interrupt.stop_all():
            while waiting and len(self._tries) < slots:
                self._start(waiting.pop(0))
            if alone and not self._tries:
                self._end_idle()
                self._start(alone.pop(0))
            ended, _ = ray.wait([*self._tries], timeout=LOOKS_EVERY_S)
            for result in ended:
                tried = self._tries.pop(result)
                fault = self._fault(result, tried, hung_after_s)
                if fault is None and tried.since is None:
                    self._begin(tried)
                elif fault is None:
                    self._tested(tried, len(left))
                else:
                    ray.kill(tried.tester)
                    again = self._judge(tried.run, fault)
                    if again is not None:
                        (alone if again else waiting).append(tried.run)
            self._end_hung(hung_after_s)
            if on_demand:
                on_demand.look()

    def _start(self, run: ToTest) -> None:
        if self._idle:
            self._begin(_Try(run=run, tester=self._idle.pop()))
        else:
            tester = self._tester.remote()
            self._tries[tester.is_ready.remote()] = _Try(run=run, tester=tester)

    def _begin(self, tried: _Try) -> None:
        folder = self._store.folder(tried.run.run_hash)
        result = tried.tester.test.remote(self._evaluate, folder.address, self._source)
        self._tries[result] = replace(tried, since=time.monotonic())

    def _fault(self, result: Any, tried: _Try, hung_after_s: float) -> Fault | None:
        """What went wrong in a test, or in the start of its process; None where nothing did."""
        try:
            fault: Fault | None = ray.get(result)
        except ray.exceptions.RayError as error:
            hung = f"hung: not tested within {hung_after_s:.0f} s" if tried.tester in self._hung else ""
            return death_of(error, hung=hung)
        return fault

    def _tested(self, tried: _Try, of: int) -> None:
        self._idle.append(tried.tester)
        with self._interrupt.watching_storage():
            self._store.folder(tried.run.run_hash).fetch(models=False)
        self.tested += 1
        logger.info(f"{self.tested}/{of}  {tried.run.label}: tested on the external cohort")

    def _judge(self, run: ToTest, fault: Fault) -> bool | None:
        """Whether a run is tested again with nothing beside it (True), beside others (False), or not at all
        (None)."""
        verdict = self._attempts.judge(run.label, fault)
        if verdict.stops:
            kind = StorageError if fault.kind is Kind.STORAGE else PlaceError
            elsewhere = f" (on {fault.host})" if fault.host not in ("", socket.gethostname()) else ""
            self._interrupt.stop(kind(f"{verdict.stops}{elsewhere}"))
            return None
        if verdict.failed:
            self.failed[run.label] = verdict.failed
            logger.warning(f"{run.label}: not tested on the external cohort: {verdict.failed}")
            return None
        logger.warning(f"{run.label}: {fault.reason}; testing it again")
        return verdict.alone

    def _end_hung(self, hung_after_s: float) -> None:
        for tried in self._tries.values():
            silent = tried.since is not None and time.monotonic() - tried.since > hung_after_s
            if silent and tried.tester not in self._hung:
                self._hung.add(tried.tester)
                ray.kill(tried.tester)

    def _end_idle(self) -> None:
        while self._idle:
            ray.kill(self._idle.pop())

    def end(self) -> None:
        """Ends all processes; what they have not written is computed again."""
        self._end_idle()
        for tried in self._tries.values():
            ray.kill(tried.tester)


class _Tester:
    """Tests one run after the other, in a process of Ray; one in which something went wrong has no next."""

    def is_ready(self) -> None:
        """Says that the process has started."""

    def test(self, evaluate: Evaluate, address: str, source: Source) -> Fault | None:
        """Tests a run; the fault, if there was one."""
        try:
            from learner_ray.training.process import keep_to_share, training_device

            folder, device = RunFolder.at(address), training_device()
            stay_closed_to_others(folder.path.parent.parent)
            if device == "cuda":
                keep_to_share(assigned_share())
            folder.fetch()
            evaluate(folder, source, device)
        except Exception as error:
            where = {"process": process_name(), "device": device_name(), "host": socket.gethostname()}
            return fault_of(error, Path(address).parent, **where)
        return None
