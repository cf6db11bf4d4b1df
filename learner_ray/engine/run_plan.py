"""Runs what is left of a plan, on the devices there are."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from learner_ray.core.components import LOSSES
from learner_ray.core.files import Standing
from learner_ray.encoders.network import network_bytes
from learner_ray.engine.connection import Devices, start_local
from learner_ray.engine.hosted_trials import GpuHosts
from learner_ray.engine.on_demand import check_on_demand, on_demand_nodes
from learner_ray.engine.sharing import BOTH, MAX_RUNS_PER_GPU, Sharing, gpu_fraction, measure_sharing
from learner_ray.engine.tuning import run_study
from learner_ray.run.spec import RunSpec
from learner_ray.study.ledger import write_tables
from learner_ray.study.options import SweepOptions
from learner_ray.study.plan import Plan
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.results import Results
from learner_ray.study.runner import StudyRunner

if TYPE_CHECKING:  # Ray Train, which takes a second to load and a study of one device per trial does not need
    from learner_ray.engine.worker_groups import WorkerGroups

logger = logging.getLogger(__name__)

RUNS_WORTH_MEASURING = 8
"""Runs left per GPU; with fewer it is not measured how many could share one."""
DECIDES_MEMORY = ("data.", "train.batch_size", "encoder.")
"""Beginnings of keys that decide a trial's memory; where one is searched, no one trial speaks for all."""
TAKES_NO_MEMORY = "encoder.shift_fraction"
"""The key among them that may be searched even so."""


def run_plan(
    plan: Plan,
    runner: StudyRunner,
    results: Results,
    options: SweepOptions,
    devices: Devices,
    *,
    again: bool = False,
) -> int | None:
    """Runs what is left of a plan.

    Args:
        plan: what was planned.
        runner: hands out its runs.
        results: where they go.
        options: of the sweep.
        devices: that it may use.
        again: whether this call follows another of the same sweep, whose searches were closed: Ray runs.

    Returns:
        The signal that ended it early, or None.

    Raises:
        UserError: the devices do not allow it.
        PlaceError: a fault of the place; what had ended is kept.
    """
    out, size = results.out, options.devices_per_trial
    scratch = (out / ".tune").resolve()
    measures = measures_sharing(plan, runner, options, devices)
    sharing = Sharing(runs=options.trials_per_gpu or (MAX_RUNS_PER_GPU if measures else 1))
    if devices.local and not again:
        start_local(slots_of(options, devices, sharing.runs) * size)
    if measures:
        ways = BOTH if may_share_a_process(plan) else BOTH[:1]
        sharing = measure_sharing(largest_trial(plan), options.trials_per_gpu, ways=ways)
    share = sharing.runs
    slots = slots_of(options, devices, share)
    runner.has_slots(slots)
    standing = Standing(out)
    try:
        return run_study(
            runner,
            scratch=scratch,
            max_concurrent=slots,
            resources=resources_of(devices, share),
            hung_after_s=options.hung_after,
            worker_groups=_worker_groups(min(slots, runner.remaining), size, devices, scratch),
            hosts=GpuHosts() if sharing.in_one_process else None,
            # Ray on this machine has no more devices than that.
            limit=None if devices.local else options.max_concurrent,
            on_demand=on_demand_nodes(options, lambda: min(slots, runner.remaining) / share),
        )
    except BaseException:
        if standing.has_gone:
            # Removed: what has come since has no study.json, and the same command would refuse it.
            shutil.rmtree(out, ignore_errors=True)
            raise
        with suppress(OSError):  # what went wrong first is what is reported
            write_tables(plan, runner, out)
        raise
    finally:
        standing.close()


def _worker_groups(groups: int, size: int, devices: Devices, scratch: Path) -> WorkerGroups | None:
    """What trains runs of several devices each; None where a run has one."""
    if size == 1:
        return None
    from learner_ray.engine.worker_groups import WorkerGroups

    return WorkerGroups(groups, size, gpu=devices.gpus > 0, scratch=scratch)


def check_devices(options: SweepOptions, devices: Devices) -> None:
    """Refuses options that the devices do not allow.

    Raises:
        UserError: says which, and what to do.
    """
    devices.trials(options.devices_per_trial)
    if options.trials_per_gpu is not None:
        devices.check_share(options.trials_per_gpu, options.devices_per_trial)
    check_on_demand(options, local=devices.local)


def slots_of(options: SweepOptions, devices: Devices, share: int = 1) -> int:
    """Runs at a time, where so many share a GPU."""
    trials = devices.trials(options.devices_per_trial) * share
    return min(trials, options.max_concurrent or trials)


def resources_of(devices: Devices, share: int) -> dict[str, float]:
    """What a run asks Ray for."""
    if not devices.gpus:
        return {"cpu": 1}
    # Ray on this machine is told of a CPU for each run; a cluster's node may have one for each GPU.
    return {"cpu": 1 if devices.local else gpu_fraction(share), "gpu": gpu_fraction(share)}


def measures_sharing(plan: Plan, runner: StudyRunner, options: SweepOptions, devices: Devices) -> bool:
    """Whether to find out how runs should share a GPU: there is something to choose, enough are left to pay
    for it, and one tells what the others need.
    """
    said = options.trials_per_gpu == 1 or options.devices_per_trial > 1
    said = said or bool(options.max_concurrent and not options.trials_per_gpu)
    enough = devices.gpus and runner.remaining >= RUNS_WORTH_MEASURING * devices.gpus
    alike = not any(key.startswith(DECIDES_MEMORY) for key in {*plan.space} - {TAKES_NO_MEMORY})
    trained = [group.config for group in plan.groups if group.config.pretrains]
    tuned = any(config.progression.finetune_epochs for config in trained)
    return bool(enough and not said and alike and trained and not tuned)


def may_share_a_process(plan: Plan) -> bool:
    """Whether one process may train any runs of a plan side by side; says why where it may not."""
    from learner_ray.training.side_by_side import process_settings, why_not_side_by_side

    specs = [group.spec(group.config, final=False) for group in plan.groups]
    if "train.deterministic" in plan.space or len({process_settings(spec) for spec in specs}) > 1:
        logger.info("Each run has its own process: some set threads or determinism otherwise than others")
        return False
    refusals = sorted({refusal for spec in specs if (refusal := why_not_side_by_side(spec))})
    for refusal in refusals:
        logger.info(f"Each run has its own process: {refusal}")
    return not refusals


def largest_trial(plan: Plan) -> RunSpec:
    """A trial of the arm that needs the most memory, in its base configuration."""

    def size(group: FoldSearchSpec) -> int:
        config = group.config
        views: int = LOSSES.get(config.loss.name).views_of(config.loss)
        pixels = views * config.train.batch_size * config.data.frames * config.data.image_size**2
        return pixels * network_bytes(config.encoder, config.data.frames)

    largest = max((group for group in plan.groups if group.config.pretrains), key=size)
    return largest.spec(largest.config, final=False)
