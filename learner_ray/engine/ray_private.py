"""Every corner of Ray that the engine touches and that Ray does not promise to keep.

All of it was read in and run with Ray 2.60.0. Ray moves such things between minor versions, which is why
``pyproject.toml`` keeps ``ray`` below 2.61: raise that bound when ``tests/engine/test_ray_private.py``, whose
tests each name one corner, and ``make test-long`` pass with the next version. Nothing private is imported
with this module. Each function imports what it needs when it is called, and where that has moved it does what
its docstring says instead, so that a plan or ``--help`` never breaks.

What has no public way, and why:

* **Memory.** Before a node runs out of memory Ray ends a process there, and raises ``OutOfMemoryError``.
  Tune's controller knows only ``RayActorError`` as an actor's death and ends the whole study for any other
  (``RayActorManager._actor_task_failed``). No callback, searcher, scheduler, failure setting or option of an
  actor's method comes before that check; switching Ray's watch over the memory off
  (``RAY_memory_monitor_refresh_ms=0``) leaves it to the kernel, which may end Ray itself.
* **The error of a trial.** Tune calls a scheduler and a searcher without the error that ended a trial, and
  ``Trial.get_pickled_error`` reads a copy that is made only later.
* **Loopback.** A Ray of this machine alone listens on all interfaces; ``_node_ip_address="127.0.0.1"`` is
  replaced by the address that others reach.
* **The process of a trial.** Tune's callbacks are given a trial, but no public way to its actor.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from learner_ray.engine.faults import DEATHS

MOVED = (ImportError, AttributeError)
"""The exceptions that are raised where Ray has moved something."""

TUNE_SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's own lets fit() return as if the study were complete
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "10",
    "RAY_AIR_NEW_OUTPUT": "0",  # the progress that is shown is ours
    # Else Tune itself tries a trial again whose node was preempted, and the searcher never hears of it.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
}
"""Environment variables that Tune reads in the process that calls ``Tuner.fit``."""

TRAIN_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a rank's death is enough: a run owes its node nothing
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""Environment variables that Train passes on from the process that calls ``TorchTrainer.fit``."""

CLUSTER_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable: whether a Ray may have other machines, on any system. Ray reads it when it is
imported."""

BOOTSTRAP_FILE = Path("~/ray_bootstrap_config.yaml")
"""The cluster file that ``ray up`` leaves on the head, for the autoscaler."""

ADDRESS_FILE = "ray_current_cluster"
"""Below Ray's temporary folder: where ``ray start`` writes the address of the cluster it has joined."""

NOT_PLACED = ("InsufficientClusterResourcesError", "WorkerGroupStartupTimeoutError")
"""Names of Train's exceptions for a worker group that found no devices; their module is private."""

JOB_CLIENT_LOGGER = "ray.dashboard.modules.job.sdk"
CONTROLLER_LOGGER = "ray.tune.execution.tune_controller"
QUIET_TUNE_LOGGERS = ("ray.tune.execution.experiment_state", "ray.tune.tune")
"""They report storage that failed and trials that ended in an error, both of which the engine reports."""

MODULES_THAT_JUDGE_DEATHS = (
    "ray.air.execution._internal.actor_manager",
    "ray.tune.execution.tune_controller",
)
"""Each compares a caught exception with its global ``RayActorError``."""


@contextmanager
def on_loopback() -> Iterator[None]:
    """A Ray that is started within it listens on the loopback interface alone, as on macOS and Windows.

    Where Ray has moved the switch: on all interfaces, as it does by default, and asks for its token.
    """
    with environment({CLUSTER_SWITCH: "0"}, override=False):
        try:
            constants: Any = import_module("ray._private.ray_constants")
            before = constants.ENABLE_RAY_CLUSTER
        except MOVED:
            yield
            return
        constants.ENABLE_RAY_CLUSTER = os.environ[CLUSTER_SWITCH] == "1"
        try:
            yield
        finally:
            constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def environment(settings: Mapping[str, str | None], *, override: bool = True) -> Iterator[None]:
    """Sets environment variables of this process, and restores them afterwards.

    Args:
        settings: values by name; None removes a variable.
        override: whether a variable that the user has set is changed too.
    """
    changed = {name: value for name, value in settings.items() if override or name not in os.environ}
    before = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def temporary_folder() -> Path:
    """The folder in which Ray keeps its own files by default.

    Where Ray has moved the function: ``ray`` below ``RAY_TMPDIR``, ``TMPDIR`` or ``/tmp``, as its
    documentation says."""
    try:
        from ray._common.utils import get_default_ray_temp_dir

        return Path(get_default_ray_temp_dir())
    except MOVED:
        return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"


def address_of_started_cluster() -> str | None:
    """The address of the cluster that ``ray start`` made this machine part of; it may have ended since.

    Where Ray has moved the function: what its address file holds.
    """
    try:
        from ray._private.utils import read_ray_address

        address: str | None = read_ray_address()
    except MOVED:
        try:
            address = (temporary_folder() / ADDRESS_FILE).read_text().strip()
        except OSError:
            address = None
    return address or None


def autoscaler_config() -> dict[str, Any]:
    """The cluster file that the launcher left on this head, for the autoscaler.

    Where there is none, or Ray writes it elsewhere: nothing, so that the cluster's present nodes count.
    """
    try:
        config = yaml.safe_load(BOOTSTRAP_FILE.expanduser().read_text())
    except (FileNotFoundError, RuntimeError):  # no file, or no home folder
        return {}
    return config if isinstance(config, dict) else {}


def end_process(trial: Any) -> None:
    """Ends the process of a trial without asking it.

    Where Tune keeps the trial's actor elsewhere: sends SIGKILL, on its node, to the process that the trial's
    results name (``pid`` and ``node_ip``).
    """
    try:
        actor = trial.temporary_state.ray_actor
    except AttributeError:
        actor = None
    if actor is not None:
        ray.kill(actor)
        return
    result = trial.last_result or {}
    nodes = [n for n in ray.nodes() if n["Alive"] and n["NodeManagerAddress"] == result.get("node_ip")]
    if nodes and "pid" in result:
        there = NodeAffinitySchedulingStrategy(nodes[0]["NodeID"], soft=False)
        kill = ray.remote(_kill).options(num_cpus=0, scheduling_strategy=there)
        ray.get(kill.remote(result["pid"]))


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def error_of(trial: Any) -> BaseException | None:
    """The exception that ended a trial. Tune's own files of it, outside the results folder, are removed: its
    words may name a file, and so a patient.

    Where Tune does not write it to the trial's own file: what the public ``get_pickled_error`` finds in its
    storage; else None, which is judged as a death that nobody explains.
    """
    try:
        error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except (AttributeError, TypeError, OSError, pickle.UnpicklingError, EOFError):
        try:
            error = trial.get_pickled_error()
        except (AttributeError, OSError, pickle.UnpicklingError, EOFError):
            return None
    for file in ("pickled_error_file", "error_file"):
        with suppress(AttributeError, TypeError, OSError):
            Path(getattr(trial, file)).unlink()
    return error if isinstance(error, BaseException) else None


def is_not_placed(failure: object) -> bool:
    """Whether a worker group did not start because the cluster had no devices free for it.

    The exception is recognised by its name. Where Ray has renamed it: False, and the exception's own message
    is shown."""
    return any(kind.__name__ in NOT_PLACED for kind in type(failure).__mro__)


def death_of_rank(failure: object) -> Exception | None:
    """The exception that Ray raised for the death of a rank's process, from one failure in
    ``worker_failures``.

    Where Train has renamed its attribute: None, and the failure itself is judged.
    """
    death = getattr(failure, "health_check_failure", None)
    return death if isinstance(death, DEATHS) else None


def placement_group_of(identifier: str) -> PlacementGroup:
    """The placement group with a hexadecimal id, which another process has created."""
    return PlacementGroup(ray.PlacementGroupID(bytes.fromhex(identifier)))


@contextmanager
def deaths_recognised_by_tune() -> Iterator[None]:
    """Within it Tune takes every exception of ``DEATHS`` for the death of one trial's actor.

    Where the modules have moved: Tune is left as it is and raises; see :func:`is_death_unknown_to_tune`.
    """
    with ExitStack() as restored:
        for name in MODULES_THAT_JUDGE_DEATHS:
            try:
                module: Any = import_module(name)
                before = module.RayActorError
            except MOVED:
                continue
            module.RayActorError = DEATHS
            restored.callback(setattr, module, "RayActorError", before)
        yield


def is_death_unknown_to_tune(error: BaseException) -> bool:
    """Whether ``Tuner.fit`` ended because a process died in a way that Tune does not know."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, DEATHS):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return any(death.__name__ in str(error) for death in DEATHS)  # Tune may raise the traceback's text


@contextmanager
def quiet_tune(keeps: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    """Within it Tune does not print what the engine reports itself.

    Where Ray has renamed a logger: its messages are shown, which does no harm.

    Args:
        keeps: whether a record of Tune's controller is shown.
    """
    levels = {name: logging.getLogger(name).level for name in QUIET_TUNE_LOGGERS}
    controller = logging.getLogger(CONTROLLER_LOGGER)
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    controller.addFilter(keeps)
    try:
        yield
    finally:
        controller.removeFilter(keeps)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def quiet_job_client() -> Iterator[None]:
    """Within it Ray's job client prints warnings alone. Where its logger has another name: all it prints."""
    logger = logging.getLogger(JOB_CLIENT_LOGGER)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
