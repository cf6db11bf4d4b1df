"""Turns the runs of a study into trials of Tune, and judges how each trial ended."""

from __future__ import annotations

import json
import logging
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayTaskError
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from learner_ray.core.errors import PlaceError, StorageError
from learner_ray.core.files import write_atomic
from learner_ray.core.locks import HeldError
from learner_ray.engine.attempts import Attempts, Verdict
from learner_ray.engine.epoch_queue import GroupStatus
from learner_ray.engine.faults import Fault, FaultError, Kind, death_of, fault_of
from learner_ray.engine.interrupt import Interrupt
from learner_ray.engine.ray_private import error_of
from learner_ray.engine.watchdog import Watchdog
from learner_ray.run.folder import ERROR, locked
from learner_ray.study.planned_run import PlannedRun
from learner_ray.study.runner import StudyRunner

if TYPE_CHECKING:  # Ray Train, which takes a second to load and a study of one device per trial does not need
    from learner_ray.engine.worker_groups import WorkerGroups

logger = logging.getLogger(__name__)

LET_GO_S = 5.0
"""Seconds to wait for a run's lock: a process that was killed may hold it for a moment longer."""


@dataclass(frozen=True)
class Retry:
    """A run that is to be tried once more."""

    planned: PlannedRun
    alone: bool = False
    """Whether nothing may run beside it."""
    last: bool = False
    """Whether all other runs are tried before it."""


class RunSearcher(Searcher):  # type: ignore[misc]
    """Gives Tune the runner's next run as a trial, and tells the runner when the trial is over.

    Retries are ours, each a new trial to Tune, which would count an actor that dies between two runs as two
    failures of the second.

    Args:
        runner: hands out the runs.
        attempts: judges what goes wrong.
        watchdog: knows which trials it ended.
        interrupt: is given what ends the study.
        worker_groups: train the runs, where they have several devices each.
        limit: trials at a time, where fewer than the devices hold are wanted.
        shares: runs share devices, or the memory of a node: one that is to be alone waits for all others.
    """

    def __init__(
        self,
        runner: StudyRunner,
        attempts: Attempts,
        watchdog: Watchdog,
        interrupt: Interrupt,
        worker_groups: WorkerGroups | None = None,
        limit: int | None = None,
        shares: bool = True,
    ) -> None:
        super().__init__()
        self.runner = runner
        self.attempts = attempts
        self.interrupt = interrupt
        self.runs: dict[str, PlannedRun] = {}
        """The run of each trial, by the trial's id."""
        self.errors: dict[str, BaseException | None] = {}
        """The exceptions that ended trials of which the searcher has not yet heard, by the trial's id."""
        self._watchdog = watchdog
        # By name: Tune pickles the searcher.
        self._queue = worker_groups.name if worker_groups else ""
        self._groups: dict[str, tuple[int, str]] = {}
        """The worker group that trains each trial, with its placement group, by the trial's id."""
        self._limit = limit
        self._shares = shares
        self._retries: list[Retry] = []
        self._alone: set[str] = set()
        """Trials beside which nothing may run."""
        self._parked = False
        """Whether a trial holds a device that was put aside."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The settings of a new trial; None where nothing can start now, FINISHED where nothing ever will."""
        with self.interrupt.watching_storage():
            return self._suggest(trial_id)
        return str(Searcher.FINISHED)

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        # While nothing runs Tune asks for minutes, and looks at nothing else.
        if self.runner.is_done or self.interrupt.stop_all():
            return str(Searcher.FINISHED)
        if self._alone or (self._limit and len(self.runs) >= self._limit):
            return None
        free = self._free_groups() if self._queue else {}
        if self._queue and not free:
            return None
        found = self._next()
        if found is None:
            over = self.runner.is_done or self.interrupt.stop_all()
            return str(Searcher.FINISHED) if over else None
        self.runs[trial_id] = planned = found.planned
        if found.alone and self._shares:
            self._alone.add(trial_id)
        folder = self.runner.store.folder(planned.spec.hash)
        folder.write_spec(planned.spec)
        config = {"folder": folder.address, "alone": found.alone, "aside": sorted(self.attempts.aside)}
        return config | (self._group_for(trial_id, planned, free) if self._queue else {})

    def _next(self) -> Retry | None:
        """The run to start now, if any: one that is tried again goes first, unless all others go before
        it."""
        alone = next((retry for retry in self._retries if retry.alone), None)
        if alone and self._shares:
            if self.runs:
                return None  # nothing new: it would never be alone
            self._retries.remove(alone)
            return alone
        soon = next((retry for retry in self._retries if not retry.last), None)
        if soon is None and (planned := self.runner.next_run()) is not None:
            return Retry(planned)
        if soon is None and self._retries:
            soon = self._retries[0]
        if soon is not None:
            self._retries.remove(soon)
        return soon

    def _free_groups(self) -> dict[int, str]:
        """The worker groups that have started and train nothing, with their placement groups."""
        up: GroupStatus = ray.get(ray.get_actor(self._queue).status.remote())
        self.interrupt.start_failure = up.start_failure
        taken = {group for group, _ in self._groups.values()}
        aside = self.attempts.aside
        return {k: name for k, name in up.groups.items() if k not in taken and group_name(k) not in aside}

    def _group_for(self, trial_id: str, planned: PlannedRun, free: dict[int, str]) -> dict[str, Any]:
        """Assigns a run to a free group, if possible not to one in which it had an error of the device."""
        tried = self.attempts.devices_of(planned.label)
        group = min(free, key=lambda k: (group_name(k) in tried, k))
        self._groups[trial_id] = group, free[group]
        return {"epoch_queue": self._queue, "group": group}

    def on_epoch(self, trial_id: str, row: dict[str, Any], device: str) -> bool:
        """Records an epoch of a trial.

        Args:
            trial_id: the trial.
            row: the epoch's progress.
            device: the device that computed it; empty for the last epoch of before a restart.

        Returns:
            False where the trial is to be stopped.
        """
        planned, taken = self.runs[trial_id], self._groups.get(trial_id)
        named = group_name(taken[0]) if taken and device else device
        self.attempts.epoch(planned.label, row["epoch"], named)
        return self.runner.row(planned, row)

    def park(self, trial_id: str) -> None:
        """Records that a trial has come to a device that was put aside and holds it; its run goes
        elsewhere."""
        planned = self.runs.pop(trial_id, None)
        if planned is not None:
            self._parked = True
            self._retries.append(Retry(planned, alone=trial_id in self._alone))
            self._alone.discard(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Judges how a trial ended: its run has ended too, or is tried again."""
        planned = self.runs.pop(trial_id, None)
        if planned is None:
            return  # parked
        taken = self._groups.pop(trial_id, None)
        alone = trial_id in self._alone
        self._alone.discard(trial_id)
        fault = self._fault(trial_id, taken) if error else None
        if fault is not None and taken is not None:
            self._end_group(*taken, fault)
        with self.interrupt.watching_storage():
            folder = self.runner.store.folder(planned.spec.hash)
            folder.fetch(models=False)
            if (result or {}).get("no_ranks"):
                self._retries.append(Retry(planned, alone=alone))
            elif fault is None or folder.state is not None:
                self.runner.ended(planned)
            else:
                self._apply_verdict(planned, fault)
        self.interrupt.over = self._parked and self.runner.is_done

    def _fault(self, trial_id: str, taken: tuple[int, str] | None) -> Fault:
        error = self.errors.pop(trial_id, None)
        if not isinstance(error, RayTaskError):
            fault = death_of(error, hung=self._watchdog.reason(trial_id) or "")
        elif isinstance(error.cause, FaultError):
            fault = error.cause.fault
        else:
            fault = fault_of(error.cause, self.runner.store.root, process=trial_id)
        return replace(fault, device=group_name(taken[0]), process=taken[1]) if taken else fault

    def _end_group(self, group: int, placement_group: str, fault: Fault) -> None:
        """Ends the ranks of a trial that has died: they may live, hang, and hold the run."""
        from learner_ray.engine.worker_groups import free_placement_group

        if ray.get(ray.get_actor(self._queue).end_ranks.remote(group, placement_group, fault)):
            free_placement_group(placement_group)

    def _apply_verdict(self, planned: PlannedRun, fault: Fault) -> None:
        """Judges a fault, and stops the study, fails the run or plans to try it again."""
        verdict = self.attempts.judge(planned.label, fault)
        if verdict.aside:
            logger.warning(
                f"{verdict.aside} is put aside for the rest of the study: two runs had an error of it, "
                f"{planned.label} the last ({fault.reason})"
            )
        if verdict.stops:
            kind = StorageError if fault.kind is Kind.STORAGE else PlaceError
            elsewhere = f" (on {fault.host})" if fault.host not in ("", socket.gethostname()) else ""
            self.interrupt.stop(kind(verdict.stops + elsewhere))
        elif verdict.failed:
            self._fail(planned, verdict, fault)
        else:
            how = ", with nothing beside it" if verdict.alone else ""
            logger.warning(f"{planned.label}: {fault.reason}; starting it again{how}")
            self._retries.append(Retry(planned, alone=verdict.alone, last=verdict.last))

    def _fail(self, planned: PlannedRun, verdict: Verdict, fault: Fault) -> None:
        """Writes that a run has failed, unless another sweep trains it now: then that sweep's result
        counts."""
        folder = self.runner.store.folder(planned.spec.hash)
        try:
            with locked(folder, within_s=LET_GO_S):
                if folder.state is None and fault.trace:
                    write_atomic(folder.path / ERROR, fault.trace)
                    folder.publish(ERROR)
                folder.finish("failed", verdict.failed)
        except HeldError:
            self._retries.append(Retry(planned))
            return
        self.runner.ended(planned)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its search down when it begins, with all results of a resumed study, and no
        study is ever read from there."""
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Saves nothing: the runs' own files are the state, and a resumed study asks anew."""


class TunePruner(FIFOScheduler):  # type: ignore[misc]
    """Asks the runner after every epoch whether the trial goes on."""

    def __init__(self, searcher: RunSearcher) -> None:
        super().__init__()
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Passes an epoch on to the runner, which says whether the trial goes on."""
        if result.get("parked"):
            self._searcher.park(trial.trial_id)
        row = json.loads(result.get("row") or "null")
        keeps = row is None
        with self._searcher.interrupt.watching_storage():
            keeps = keeps or self._searcher.on_epoch(trial.trial_id, row, result.get("device", ""))
        return str(FIFOScheduler.CONTINUE if keeps else FIFOScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keeps the exception for the searcher, which Tune calls just after this and without it."""
        self._searcher.errors[trial.trial_id] = error_of(trial)


def group_name(group: int) -> str:
    """The name of a worker group where devices are named."""
    return f"worker group {group}"
