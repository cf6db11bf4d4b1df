"""The Python API: a study on a cohort, to plan, to run and to look at.

from learner_ray import Experiment, SweepOptions

experiment = Experiment("lus", data="scans/manifest.csv", options=SweepOptions(trials=8))
print(experiment.plan())
experiment.run()
print(experiment.table())
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learner_ray.cohort.listing import NAME, content_list
from learner_ray.core.errors import Interrupted, TimeOverError
from learner_ray.core.files import write_json
from learner_ray.core.modes import closed_to_others
from learner_ray.imaging.cache_removal import note_if_large
from learner_ray.imaging.gate import Decoded, warnings
from learner_ray.imaging.pixel_store import pixel_folder
from learner_ray.study.external import read_external, read_external_scans, refuse_another, remember
from learner_ray.study.inputs import plan_request, read_cohort, read_request, read_scans
from learner_ray.study.options import RETRY, SweepOptions
from learner_ray.study.repeat_command import equivalent_command
from learner_ray.study.study import Study

if TYPE_CHECKING:  # loaded where used: Ray and PyTorch take seconds, and a mistake is found without them
    import pandas as pd

    from learner_ray.cohort import Cohort
    from learner_ray.engine.connection import Devices
    from learner_ray.study.budget import Budget
    from learner_ray.study.callback import Callback
    from learner_ray.study.external import External
    from learner_ray.study.inputs import Request
    from learner_ray.study.plan import Plan
    from learner_ray.study.plan_report import PlanReport
    from learner_ray.study.runner import StudyRunner
    from learner_ray.study.summary import SweepResult

    ShowsProgress = Callable[[Mapping[str, int]], Callback]

logger = logging.getLogger(__name__)

DEFAULTS = SweepOptions()


class Experiment:
    """A study on a cohort, with its results folder.

    The same experiment again, in this process or another, resumes what is unfinished and repeats nothing.
    Progress is logged to the logger ``learner_ray`` at level INFO; nothing is printed.

    Args:
        study: the name of a study (``lus``, ``mri``), the path of a study file, or a study.
        data: a manifest, or a data folder in a known layout, or a URL of either; without it the modality's
            phantom cohort is made once and used.
        out: the results folder, or a URL in object storage; without it ``results/<study>``, and
            ``results/<study>-phantom`` on the phantom.
        options: the size of the study, changes to its recipe, and the devices it may use.
        command: what repeats the experiment, for ``study.json``; without it, the equivalent command line.

    Raises:
        UserError: the study, an arm, a key or a path cannot be.
    """

    def __init__(
        self,
        study: str | Path | Study,
        data: str | Path | None = None,
        out: str | Path | None = None,
        options: SweepOptions = DEFAULTS,
        *,
        command: str = "",
    ) -> None:
        self._request = read_request(study, data, out, options)
        self.options = options
        self.command = command or equivalent_command(study, data, out, options)

    @property
    def study(self) -> Study:
        """The study that runs: the one that was named, or what ``fixed_from`` or ``factor`` makes of it."""
        return self._request.study

    @property
    def out(self) -> Path:
        """The results folder on this machine."""
        return self._request.results.out

    @property
    def place(self) -> str:
        """The results folder's path, or its URL in object storage."""
        return self._request.results.address

    def plan(self) -> PlanReport:
        """Works out what would run: runs, hours, disk space and minimum detectable difference. Runs nothing,
        but reads every scan once and times a few epochs on a device that would train; where all GPUs are
        still to be brought by an autoscaler, it asks for none, and says that it knows no hours.

        Raises:
            UserError: the cohort, the options or the devices do not allow the study, or no device is free.
            PlaceError: the epochs that were to be timed failed.
        """
        with self._prepared() as (plan, _, _, devices):
            from learner_ray.engine.pace import NONE_UP, devices_not_timed, plan_throughput
            from learner_ray.engine.run_plan import slots_of
            from learner_ray.engine.time_limit import hours_of
            from learner_ray.study.freeze import looks_of
            from learner_ray.study.plan_report import PlanReport, encoder_bytes

            return PlanReport(
                plan=plan,
                heading=self._heading(plan, devices),
                throughput={} if devices.none_up else plan_throughput(plan, devices),
                untimed=NONE_UP if devices.none_up else "",
                not_timed=devices_not_timed(devices),
                encoder_bytes=encoder_bytes(plan),
                slots=slots_of(self.options, devices),
                ledger=self.out / "ledger.parquet",
                looks=looks_of(self.out, self.options.looks),
                price_per_hour=self.options.price_per_hour,
                hours=hours_of(self.options),
                device_hours=self.options.max_device_hours or math.inf,
            )

    def run(self, *, progress: ShowsProgress | None = None) -> SweepResult:
        """Runs what is left of the study, and writes its tables.

        Args:
            progress: makes the callback that shows progress, of the number of runs of each arm; None for a
                logged line for every run that ends.

        Raises:
            UserError: the cohort, the options or the devices do not allow the study, or the results folder
                holds another one, or one of other numerics that is not complete.
            PlaceError: a fault of the place ended it early, or its time was over (``TimeOverError``); what
                had ended is kept.
            Interrupted: a signal ended it early, Ctrl-C for one; what had ended is kept.
        """
        from learner_ray.engine.time_limit import budget_of
        from learner_ray.tracking.choice import require_library, tracking

        if self.options.track:  # here and not before: with --cluster it is the head that needs the library
            require_library(self.options.track)
        results, budget = self._request.results, budget_of(self.options)
        with (
            self._prepared(trains=True) as (plan, decoded, external, devices),
            results.alone(),
            tracking(self.options.track, results.out, results.store, phantom=plan.cohort.phantom) as tracker,
        ):
            from learner_ray.study.closing import unused_device_seconds
            from learner_ray.study.ledger import write_tables
            from learner_ray.study.summary import SweepResult

            results.fetch()
            self._record(plan, decoded, external)
            results.publish()
            if budget:
                budget.spend(unused_device_seconds(results.study()))
            followed = partial(self._runner, budget=budget, tracker=tracker, progress=progress)
            runner = followed(plan)
            stopped_by = self._run_rest(plan, runner, devices)
            while stopped_by is None and budget and budget.closes_at is not None:
                plan = self._close(plan, runner, budget, decoded, external)
                runner = followed(plan)
                stopped_by = self._run_rest(plan, runner, devices, again=True)
            write_tables(plan, runner, results.out)
            untested: Mapping[str, str] = {}
            if external is not None and stopped_by is None and runner.is_done:
                from learner_ray.engine.external_runs import test_on_external

                tested = test_on_external(external, plan, runner, results, self.options, devices)
                stopped_by, untested = tested.signal, tested.failed
            results.publish()
            if stopped_by is not None:
                raise Interrupted(stopped_by)
            if budget and not runner.is_done:
                raise TimeOverError(budget.over(runner.remaining))
            of_external = external.summary(results.out, untested) if external else ""
            result = SweepResult.of(runner, results.out, of_external, untested)
            results.publish_looks()  # it shows verdicts
            return result

    def _close(
        self, plan: Plan, runner: StudyRunner, budget: Budget, decoded: Decoded, external: External | None
    ) -> Plan:
        """Closes the searches of a running study where its time asks for it; the plan of what is left."""
        from learner_ray.study.closing import closed_plan, closing_record

        results = self._request.results
        logger.warning(str(budget))
        left = closed_plan(plan, budget.closes_at or 1)
        closed = closing_record(runner, budget.by, plan, left, results.study())
        # The runs' files are the truth: tables and curves are written anew, of the trials that count.
        shutil.rmtree(results.out / "tensorboard", ignore_errors=True)
        self._record(left, decoded, external, closed)
        return left

    def _record(
        self,
        plan: Plan,
        decoded: Decoded,
        external: External | None,
        closed: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes what the study is, before anything runs, or how its searches were closed; refuses what may
        not be added to its folder."""
        from learner_ray.study.freeze import amendment_notice
        from learner_ray.study.record import record
        from learner_ray.study.sample_size import sample_size_record

        results = self._request.results
        self._refuse(plan, external)
        before = results.study()
        study = record(
            plan,
            results.out,
            _left_out(plan, decoded),
            unreadable=decoded.unreadable,
            command=self.command,
            extend=self.options.extend,
            allow_duplicates=self.options.allow_duplicates,
            looks=self.options.looks,
            sample_size=lambda: sample_size_record(plan, self.options.looks or 1),
            closed=closed,
        )
        if not closed and (amended := amendment_notice(before, study)):
            logger.warning(amended)
        write_json(results.out / NAME, content_list(plan.cohort, decoded.stamps, decoded.cache.looks))
        remember(external, results.out)

    def table(self) -> pd.DataFrame:
        """The numbers of the study's main table: one row per arm.

        Raises:
            UserError: the results folder holds no study with a final run.
        """
        from learner_ray.study.main_table import main_table_data

        self._request.results.fetch()
        table = main_table_data(self.out)
        self._request.results.publish_looks()
        return table

    def runs(self) -> pd.DataFrame:
        """One row for every run that has ended: ``label``, ``state``, ``run_hash``, ``selection_score`` (NaN
        for a final run) and ``device_seconds``.

        Raises:
            UserError: the results folder holds no study.
        """
        from learner_ray.study.runs_table import runs_table

        self._request.results.fetch()
        return runs_table(self.out)

    @contextmanager
    def _prepared(self, *, trains: bool = False) -> Iterator[tuple[Plan, Decoded, External | None, Devices]]:
        """The plan with all scans read, on devices that are given back in the end. Where it trains and all
        GPUs are still to be brought, the first is asked for after what can be refused without it."""
        with closed_to_others(self.out.parent):
            yield from self._prepared_closed(trains)

    def _prepared_closed(self, trains: bool) -> Iterator[tuple[Plan, Decoded, External | None, Devices]]:
        options = self.options
        request, cohort = read_cohort(self._request)
        external = read_external(request, cohort)
        from learner_ray.engine.head import require_named

        require_named(options.address)
        # Ray and Optuna are loaded here: no mistake that can be told before waits for them.
        from learner_ray.engine.connection import check_visible, find_devices, left_as_found, with_a_gpu
        from learner_ray.engine.on_demand import on_demand_nodes
        from learner_ray.engine.run_plan import check_devices, slots_of
        from learner_ray.study.journal import quiet_optuna

        with quiet_optuna(), left_as_found():
            devices = find_devices(options.address, request.shared_data, request.results.address)
            check_devices(options, devices)
            plan = self._planned(request, cohort, devices)
            logger.info(self._heading(plan, devices))
            plan, decoded = read_scans(plan, request, NAME, _log_reading)
            if lines := warnings({**decoded.bad_scans, **decoded.oddities}):
                logger.warning("\n".join(lines))
            if external is not None:
                check_visible(devices, external.source.path, request.results.address)
                external = read_external_scans(external, plan, request, _log_reading)
                logger.info(external.words)
            if large := note_if_large(pixel_folder()):
                logger.info(large)
            if trains and devices.none_up:
                self._refuse(plan, external)
                guessed = devices.precision
                nodes = on_demand_nodes(options, lambda: slots_of(options, devices))
                devices = with_a_gpu(devices, request.shared_data, request.results.address, nodes)
                if devices.precision != guessed:
                    plan = self._planned(request, cohort, devices)
                    plan, decoded = read_scans(plan, request, NAME, _log_reading)
            yield plan, decoded, external, devices

    def _planned(self, request: Request, cohort: Cohort, devices: Devices) -> Plan:
        from learner_ray.study.other_numerics import recorded_numerics

        return plan_request(
            request,
            cohort,
            gpus=devices.gpus,
            precision=devices.precision,
            numerics=recorded_numerics(request.results),
        )

    def _refuse(self, plan: Plan, external: External | None) -> None:
        """Refuses what may not be added to the results folder."""
        from learner_ray.study.other_numerics import refuse_to_add

        results = self._request.results
        refuse_to_add(plan, results, self.options.retry)
        refuse_another(external, results.study(), results.out)

    def _heading(self, plan: Plan, devices: Devices) -> str:
        from learner_ray.engine.run_plan import slots_of
        from learner_ray.study.other_numerics import notice
        from learner_ray.study.plan_report import idle_devices
        from learner_ray.study.summary import heading

        said = heading(plan, devices=devices, results=self._request.results)
        if other := notice(plan.settings.numerics):
            said += f"\n{other}"
        if idle := idle_devices(plan, slots_of(self.options, devices)):
            said += f"\n{idle}"
        if devices.local and not devices.gpus:
            said += "\nOn a cluster: the same with --cluster cluster/gpu.yaml, see cluster/README.md"
        return said

    def _runner(
        self, plan: Plan, *, budget: Budget | None, tracker: Callback, progress: ShowsProgress | None
    ) -> StudyRunner:
        """The runner of a plan, with all that are told of its runs."""
        from learner_ray.engine.progress import Progress
        from learner_ray.study.journal import optuna_studies
        from learner_ray.study.ledger import LedgerWriter
        from learner_ray.study.run_log import RunLog
        from learner_ray.study.runner import StudyRunner
        from learner_ray.tracking.curves import Curves

        results, retry = self._request.results, self.options.retry
        if retry == "failed-trials":
            logger.info("Failed trials run again: what was suggested after them is searched anew")
        roles = RETRY[retry] if retry else ()
        tensorboard, arms = results.out / "tensorboard", [arm.name for arm in plan.arms]
        return StudyRunner(
            plan.groups,
            self.study.space,
            results.store,
            optuna_studies(results.out),
            roles,
            callbacks=[
                (progress or Progress)(plan.runs_per_arm),
                Curves(tensorboard, results.store, plan.space, arms, self.options.tensorboard),
                LedgerWriter(plan, results.out),
                tracker,
                RunLog(
                    results.out,
                    devices_per_run=self.options.devices_per_trial,
                    price_per_hour=self.options.price_per_hour,
                ),
                results,
            ],
            budget=budget,
        )

    def _run_rest(
        self, plan: Plan, runner: StudyRunner, devices: Devices, *, again: bool = False
    ) -> int | None:
        """Runs what has not ended in earlier calls; the signal that ended it early, or None."""
        if runner.resume():
            logger.info("All runs are already complete.")
            return None
        from learner_ray.engine.run_plan import run_plan

        return run_plan(plan, runner, self._request.results, self.options, devices, again=again)


def _log_reading(done: int, total: int) -> None:
    """Says how far the reading of scans is."""
    if done == total or done % 50 == 0:
        logger.info("read %d of %d scans", done, total)


def _left_out(plan: Plan, decoded: Decoded) -> list[str]:
    """What a study leaves out of its data, or takes in though it is odd, in sentences."""
    kept = [f"{sentence} (kept; see {NAME})" for sentence in decoded.oddities]
    return [*plan.cohort.notes, *(bad.unnamed for bad in decoded.cache.bad.values()), *kept]
