"""Runs a study's runs as one Tune experiment."""

from __future__ import annotations

import logging
import math
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from learner_ray.core.errors import PlaceError, UserError
from learner_ray.engine import ray_private
from learner_ray.engine.attempts import Attempts
from learner_ray.engine.faults import DEATHS, FaultError, last_line
from learner_ray.engine.hosted_trials import GpuHosts, hosted_trainable
from learner_ray.engine.interrupt import Interrupt
from learner_ray.engine.on_demand import OnDemandNodes
from learner_ray.engine.searcher import RunSearcher, TunePruner
from learner_ray.engine.trainable import RunTrainable
from learner_ray.engine.watchdog import Clock, Watchdog
from learner_ray.study.runner import StudyRunner

if TYPE_CHECKING:  # Ray Train, which takes a second to load and a study of one device per trial does not need
    from learner_ray.engine.worker_groups import WorkerGroups

TRIALS_PER_RUN = 100
"""The most trials of Tune that a run may take: to Tune every retry is a trial, and so is a run that was
handed to a group too late."""


def run_study(
    runner: StudyRunner,
    *,
    scratch: Path,
    max_concurrent: int,
    resources: Mapping[str, float],
    trainable: type[tune.Trainable] = RunTrainable,
    worker_groups: WorkerGroups | None = None,
    hosts: GpuHosts | None = None,
    hung_after_s: float = math.inf,
    limit: int | None = None,
    on_demand: OnDemandNodes | None = None,
    clock: Clock = time.monotonic,
) -> int | None:
    """Runs all runs to their end.

    Args:
        runner: hands out the runs.
        scratch: a folder for Tune's own files, removed afterwards; they are never read.
        max_concurrent: trials at a time.
        resources: of a trial: ``cpu`` and ``gpu``.
        trainable: what advances a run.
        worker_groups: train the runs instead, on several devices each.
        hosts: train the runs instead, in one process per GPU.
        hung_after_s: silence after which a trial is taken to hang.
        limit: trials at a time, where fewer than the devices hold are wanted.
        on_demand: asks for on-demand GPU nodes where none has been up for long.
        clock: by which silence is measured, in seconds.

    Returns:
        The signal that ended the study early, or None; None, too, where the runner says that it is over.

    Raises:
        PlaceError: a fault of the place, such as data that have gone; runs that had ended are kept.
        UserError: no worker group could be started.
    """
    watchdog = Watchdog(hung_after_s, clock)
    interrupt = Interrupt(runner.store.root, scratch.parent, lambda: runner.is_over)
    gpu = worker_groups.gpu if worker_groups else resources.get("gpu", 0) == 1
    groups = worker_groups.groups if worker_groups else 0
    attempts = Attempts(lambda: groups or device_count())
    searcher = RunSearcher(runner, attempts, watchdog, interrupt, worker_groups, limit, shares=not gpu)
    if worker_groups:
        from learner_ray.engine.worker_groups import TRIAL_CPUS, WorkerGroupTrainable

        trainable, resources = WorkerGroupTrainable, {"cpu": TRIAL_CPUS}
    if hosts:
        trainable = hosted_trainable(hosts, hung_after_s)
    with interrupt, on_demand or nullcontext(), _settled_tune(max_concurrent):
        tuner = tune.Tuner(
            tune.with_resources(trainable, _request(resources)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=TunePruner(searcher),
                num_samples=TRIALS_PER_RUN * runner.remaining,
                reuse_actors=True,
            ),
            run_config=_run_config(scratch, interrupt, [watchdog, *([on_demand] if on_demand else [])]),
        )
        try:
            with interrupt.watching_storage(), worker_groups or hosts or nullcontext():
                tuner.fit()
        except KeyboardInterrupt:
            interrupt.signal = signal.SIGINT
        except Exception as error:
            if not ray_private.is_death_unknown_to_tune(error):
                raise
            interrupt.stop(
                PlaceError(f"a process of the study died and Ray Tune stopped ({last_line(error)})")
            )
    shutil.rmtree(scratch, ignore_errors=True)
    _raise_what_ended_it(interrupt, runner)
    return interrupt.signal


def device_count() -> int:
    """The number of GPUs of the cluster, or of its nodes where it has no GPU."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    return gpus or sum(node["Alive"] for node in ray.nodes())


def _request(resources: Mapping[str, float]) -> Any:
    """The resources that a trial asks Ray for: its part of a GPU, or a whole one where it is to be alone."""
    if not 0 < resources.get("gpu", 0) < 1:
        return dict(resources)
    part = {name.upper(): amount for name, amount in resources.items()}

    def asked(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([part | {"GPU": 1} if config.get("alone") else part])

    return asked


def _raise_what_ended_it(interrupt: Interrupt, runner: StudyRunner) -> None:
    """Raises the fault that ended the study early, if it was not a signal."""
    if interrupt.fault:
        raise interrupt.fault
    if interrupt.start_failure:
        raise UserError(
            f"no worker group could be started: {interrupt.start_failure}; ask for fewer with "
            "--devices-per-trial, or wait until devices are free"
        )
    if interrupt.signal is None and not runner.is_done and not runner.is_over:
        raise PlaceError("processes or worker groups died too often, and Ray Tune has given up")


def _run_config(scratch: Path, interrupt: Interrupt, callbacks: list[tune.Callback]) -> tune.RunConfig:
    return tune.RunConfig(
        name="study",
        storage_path=str(scratch),
        stop=interrupt,
        callbacks=callbacks,
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    )


def _is_no_fault(record: logging.LogRecord) -> bool:
    """Whether an error of Tune's log was judged by nobody: it keeps its traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, DEATHS) or isinstance(getattr(error, "cause", None), FaultError))


@contextmanager
def _settled_tune(max_concurrent: int) -> Iterator[None]:
    """Within it Tune reads its settings from the environment, takes every way in which a process can die for
    the death of one trial, and leaves messages about both to the engine. Afterwards all is as it was."""
    settings = ray_private.TUNE_SETTINGS | {"TUNE_MAX_PENDING_TRIALS_PG": str(max_concurrent)}
    with (
        ray_private.environment(settings),
        ray_private.quiet_tune(_is_no_fault),
        ray_private.deaths_recognised_by_tune(),
    ):
        yield
