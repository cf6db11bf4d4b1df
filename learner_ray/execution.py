"""Runs a study whose inputs are known to be good: devices, plan, runs and the table at the end.

Ray, PyTorch and Optuna are loaded with this module, which takes seconds; mistakes that can be told without
them are told before it is imported.
"""

from __future__ import annotations

import argparse
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from analysis.analysed import analyse
from analysis.headline import headline
from analysis.load import load as load_results
from analysis.metrics import METRICS
from analysis.render import plain
from learner_ray.cli.command import COMPLETE, SOME_FAILED
from learner_ray.cli.options import RETRY
from learner_ray.cohort.faults import all_listed
from learner_ray.cohort.listing import NAME, content_list
from learner_ray.core.components import LOSSES
from learner_ray.core.errors import UserError
from learner_ray.core.files import Standing, write_json
from learner_ray.engine.connection import Devices, find_devices, left_as_found, start_local
from learner_ray.engine.curves import Curves
from learner_ray.engine.progress import Progress, duration
from learner_ray.engine.sharing import MAX_RUNS_PER_GPU, gpu_fraction, measure_sharing
from learner_ray.engine.tuning import run_study
from learner_ray.imaging.gate import Decoded, decode, warnings
from learner_ray.inputs import Inputs
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.cost_estimate import Throughput
from learner_ray.study.ledger import LedgerWriter
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.profiles import PROFILES
from learner_ray.study.record import record
from learner_ray.study.results import Results
from learner_ray.study.runner import StudyRunner
from learner_ray.study.samplers import make_sampler

RUNS_WORTH_MEASURING = 8
"""Per GPU; with fewer left it is not asked how many could share one."""
DECIDES_MEMORY = ("data.", "train.batch_size")
"""Keys; where they are searched, no one trial speaks for all."""


def execute(args: argparse.Namespace, inputs: Inputs) -> int:
    """Plans the study, runs what is left of it and prints what came out.

    Returns:
        The command's exit code: 0, ``SOME_FAILED``, or 128 + the signal that ended the study early.

    Raises:
        UserError: the devices, the splits or the scans do not allow the study.
        PlaceError: a fault of the place; what had ended is kept.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with left_as_found():
        return _execute(args, inputs)


def _execute(args: argparse.Namespace, inputs: Inputs) -> int:
    results = inputs.results
    # By its whole path: other processes of a cluster have working directories of their own.
    data = None if args.data is None else inputs.source.path
    devices = find_devices(args.address, data, results.address)
    devices.trials(args.devices_per_trial)
    if args.trials_per_gpu is not None:
        devices.check_share(args.trials_per_gpu, args.devices_per_trial)
    plan = plan_study(args, inputs, devices)
    print(heading(plan, results, devices), flush=True)
    plan, decoded = read_scans(plan, args, results)
    if args.plan:
        from learner_ray.cli.plan_report import plan_report

        print(plan_report(plan, measured_throughput(plan), slots_of(args, devices)))
        return COMPLETE
    kept = [f"{sentence} (kept; see {NAME})" for sentence in decoded.oddities]
    left_out = [*plan.cohort.notes, *map(str, decoded.cache.bad.values()), *kept]
    with results.alone():
        results.fetch()
        record(plan, results.out, left_out, extend=args.extend, allow_duplicates=args.allow_duplicates)
        listed = content_list(plan.cohort, decoded.stamps, decoded.cache.looks)
        write_json(results.out / NAME, listed)
        results.publish()
        studies = optuna_studies(results.out)
        if args.retry == "failed-trials":
            print("Failed trials run again: what was suggested after them is searched anew", flush=True)
        retry = RETRY.get(args.retry, ())
        runner = StudyRunner(plan.groups, inputs.study.space, results.store, studies, retry)
        stopped_by = run_plan(plan, runner, results, args, devices)
    if stopped_by is not None:
        return 128 + stopped_by
    print(summary(plan, runner, results.out))
    return SOME_FAILED if runner.is_short else COMPLETE


def plan_study(args: argparse.Namespace, inputs: Inputs, devices: Devices) -> Plan:
    """The plan of what the command line asks for."""
    study, cohort = inputs.study, inputs.cohort
    profile = args.profile or ("paper" if devices.gpus and not cohort.phantom else "laptop")
    if study.primary_metric not in METRICS:
        known = ", ".join(METRICS)
        raise UserError(f"study {study.name}: primary_metric is {study.primary_metric!r}; known: {known}")
    make_sampler(args.sampler, 0, 0)  # a package that it lacks is named before anything runs
    plan = make_plan(
        study,
        cohort,
        inputs.source,
        profile=profile,
        size=replace(PROFILES[profile], **inputs.size),
        arms=inputs.arms,
        edits=inputs.edits,
        precision=devices.precision,
        seed=args.seed,
        threads=1,
        pruner=args.pruner,
        sampler=args.sampler,
        winner=inputs.winner,
        development=args.protocol == "development",
    )
    return plan


def measured_throughput(plan: Plan) -> Throughput:
    """Measured on the first arm that pretrains."""
    from learner_ray.training.throughput import measure_throughput

    for group in plan.groups:
        if group.config.pretrains:
            return measure_throughput(group.spec(group.config, final=False))
    return Throughput(train_per_scan=0, evaluate_per_scan=0)


def slots_of(args: argparse.Namespace, devices: Devices, share: int = 1) -> int:
    """Runs at a time, where so many share a GPU."""
    trials = devices.trials(args.devices_per_trial) * share
    return min(trials, args.max_concurrent or trials)


def show_reading(done: int, total: int) -> None:
    """Says how far the pixel cache is, on one line."""
    if done == total or done % 50 == 0:
        print(f"read {done} of {total} scans", flush=True)


def read_scans(plan: Plan, args: argparse.Namespace, results: Results) -> tuple[Plan, Decoded]:
    """Reads the cohort's scans, once, and the plan with what was found: what they hold is part of every run's
    identity, and so are those that cannot be read.
    """
    with all_listed(results.faults):
        decoded = decode(
            plan.cohort,
            plan.base.data.image_size,
            skip_bad=args.skip_bad,
            allow_duplicates=args.allow_duplicates,
            progress=show_reading,
        )
    for line in warnings(decoded.oddities):
        print(line, flush=True)

    def found(source: Source) -> Source:
        return replace(
            source,
            cohort_hash=decoded.cohort.hash,
            bad_scans=tuple(sorted(decoded.cache.bad)),
            contents=results.address_of(NAME),
        )

    groups = [replace(group, source=found(group.source)) for group in plan.groups]
    return replace(plan, cohort=decoded.cohort, source=found(plan.source), groups=groups), decoded


def run_plan(
    plan: Plan,
    runner: StudyRunner,
    results: Results,
    args: argparse.Namespace,
    devices: Devices,
) -> int | None:
    """Runs what is left; the signal that ended it early, or None."""
    out = results.out
    ledger = LedgerWriter(plan, runner, out)
    runner.callbacks = [
        Progress(plan.runs_per_arm),
        Curves(out / "tensorboard", runner.store, plan.space, [arm.name for arm in plan.arms]),
        ledger,
        results,
    ]
    if runner.resume():
        print("All of it has run before: nothing left to run.")
        ledger.write()
        results.publish()
        return None
    size, scratch = args.devices_per_trial, (out / ".tune").resolve()
    measures = measures_sharing(plan, runner, args, devices)
    share = MAX_RUNS_PER_GPU if measures else args.trials_per_gpu or 1
    if devices.local:
        start_local(slots_of(args, devices, share) * size)
    if measures:
        share = measure_sharing(largest_trial(plan))
    slots = slots_of(args, devices, share)
    worker_groups = None
    if size > 1:
        from learner_ray.engine.worker_groups import WorkerGroups

        groups = min(slots, runner.remaining)
        worker_groups = WorkerGroups(groups, size, gpu=devices.gpus > 0, scratch=scratch)
    standing = Standing(out)
    try:
        stopped_by = run_study(
            runner,
            scratch=scratch,
            max_concurrent=slots,
            resources=resources_of(devices, share),
            hung_after_s=args.hung_after,
            worker_groups=worker_groups,
            # Ray on this machine has no more devices than that.
            limit=None if devices.local else args.max_concurrent,
        )
    except BaseException:
        if standing.has_gone:
            # Removed: what has come since has no study.json, and the same command would refuse it.
            shutil.rmtree(out, ignore_errors=True)
            raise
        with suppress(OSError):  # what went wrong first is what is told
            ledger.write()
        raise
    finally:
        standing.close()
    ledger.write()
    results.publish()
    return stopped_by


def resources_of(devices: Devices, share: int) -> dict[str, float]:
    """What a run asks Ray for."""
    if not devices.gpus:
        return {"cpu": 1}
    # Ray on this machine is told of a CPU for each run; a cluster's node may have one for each GPU.
    return {"cpu": 1 if devices.local else gpu_fraction(share), "gpu": gpu_fraction(share)}


def measures_sharing(plan: Plan, runner: StudyRunner, args: argparse.Namespace, devices: Devices) -> bool:
    """Whether to find out how many runs should share a GPU: nobody has said, enough are left to pay for it,
    and one tells what the others need.
    """
    said = args.trials_per_gpu or args.max_concurrent or args.devices_per_trial > 1
    enough = devices.gpus and runner.remaining >= RUNS_WORTH_MEASURING * devices.gpus
    alike = not any(key.startswith(DECIDES_MEMORY) for key in plan.space)
    trained = [group.config for group in plan.groups if group.config.pretrains]
    tuned = any(config.progression.finetune_epochs for config in trained)
    return bool(enough and not said and alike and trained and not tuned)


def largest_trial(plan: Plan) -> RunSpec:
    """A trial of the arm that needs the most memory, in its base configuration."""

    def pixels(group: FoldSearchSpec) -> int:
        config = group.config
        views: int = LOSSES.get(config.loss.name).views
        return views * config.train.batch_size * config.data.frames * config.data.image_size**2

    largest = max((group for group in plan.groups if group.config.pretrains), key=pixels)
    return largest.spec(largest.config, final=False)


def optuna_studies(out: Path) -> Any:
    """Makes each group's Optuna study in one journal, written anew: the runs' files are the truth."""
    journal = out / "optuna.journal"
    journal.unlink(missing_ok=True)
    backend = JournalFileBackend(str(journal))
    storage = optuna.storages.JournalStorage(backend)
    return lambda name: optuna.create_study(storage=storage, study_name=name, direction="maximize")


def heading(plan: Plan, results: Results, devices: Devices) -> str:
    """What will run, on what, where."""
    cohort, counts = plan.cohort, plan.cohort.class_counts()
    facts = cohort.summary()
    kind = f"{'phantom ' if cohort.phantom else ''}cohort {cohort.name}"
    if not cohort.temporal:
        kind += " (not temporal)"
    here = "On a cluster: the same with --cluster cluster/gpu.yaml, see cluster/README.md"
    return "\n".join(
        [
            f"Study {plan.study.name}, profile {plan.profile}, {devices}; results in {results}",
            f"{kind}: {facts['patients']} patients, {facts['scans']} scans, {facts['pairs']} pairs "
            f"(worse/same/better {counts[0]}/{counts[1]}/{counts[2]})",
            f"{plan.runs} runs: {len(plan.arms)} arms, {plan.size.repeats} repeats, {plan.size.folds} folds, "
            f"{plan.size.trials} trials, {plan.size.audits} audits and {plan.size.seeds} final runs each "
            "(without a search: final runs only); "
            f"{plan.base.train.precision}, {plan.base.data.image_size} px, {plan.base.train.epochs} epochs",
            *([here] if devices.local and not devices.gpus else []),
        ]
    )


def summary(plan: Plan, runner: StudyRunner, out: Path) -> str:
    """The table and the next commands to type."""
    failed = runner.failed
    seconds = sum(outcome.device_seconds for outcome in runner.outcomes)
    runs = len(runner.outcomes)
    lines = [
        plain(headline([analyse(study) for study in load_results([out]).studies])),
        f"{runs} runs, {duration(seconds)} of device time, {len(failed)} failed or diverged",
        *([f"Finished, but {len(failed)} of {runs} runs failed or diverged:"] if runner.is_short else []),
        *(f"  {outcome.planned.label}: {outcome.reason}" for outcome in failed),
        "Next:",
        f"  tensorboard --logdir {out}",
        f"  python analysis/report.py {out} --out report",
    ]
    return "\n".join(lines)
