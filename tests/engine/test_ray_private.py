"""Private corners of Ray are where ``ray_private`` looks for them; where they are hidden its fallbacks work.

The tests without "hidden" in their names are what fails, by name, when Ray moves something.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import pickle
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError

from learner_ray.engine import ray_private
from learner_ray.engine.faults import DEATHS
from tests.small_sweep import SMALL, sweep

ROOT = Path(__file__).parents[2]


def hide(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    monkeypatch.delattr(importlib.import_module(module), name)


def test_ray_is_the_version_that_was_read() -> None:
    assert ray.__version__.startswith("2.60."), "run the tests below, then raise the bound"
    assert '"ray[default,tune,train]>=2.60,<2.61"' in (ROOT / "pyproject.toml").read_text()


PRIVATE = r"\bray(\.\w+)*\._|\bray\.(scripts|dashboard|air)\b|\.temporary_state|pickled_error_file"


def test_private_corners_of_ray_are_named_in_one_file_alone() -> None:
    for path in (ROOT / "learner_ray").rglob("*.py"):
        found = [line for line in path.read_text().splitlines() if re.search(PRIVATE, line)]
        assert path.name == "ray_private.py" or not found, (path.name, found)


def test_nothing_private_is_imported_with_the_module() -> None:
    source = inspect.getsource(ray_private)
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in imports if "._" in line]


# Ray's temporary folder and the address of the cluster that was started here


def test_default_temporary_folder_of_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ray._common.utils import get_default_ray_temp_dir

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert get_default_ray_temp_dir() == str(tmp_path / "ray")


@pytest.mark.parametrize("variables", [{"RAY_TMPDIR": "/x"}, {"TMPDIR": "/y"}, {}])
def test_hidden_temporary_folder(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = ray_private.temporary_folder()
    hide(monkeypatch, "ray._common.utils", "get_default_ray_temp_dir")
    assert ray_private.temporary_folder() == expected


def test_switch_that_has_a_ray_listen_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import ray_constants, services, worker

    monkeypatch.setattr(worker, "_global_node", None)  # whose address would be the answer
    before = ray_constants.ENABLE_RAY_CLUSTER
    with ray_private.on_loopback():
        assert services.get_node_ip_address() == "127.0.0.1"
    assert ray_constants.ENABLE_RAY_CLUSTER is before and ray_private.CLUSTER_SWITCH not in os.environ


def test_hidden_switch_of_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER")
    with ray_private.on_loopback():
        pass


def test_address_of_the_cluster_that_ray_start_has_joined(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ray._private.utils import read_ray_address

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    assert read_ray_address() is None
    (tmp_path / "ray" / ray_private.ADDRESS_FILE).write_text("10.0.0.1:6379\n")
    assert read_ray_address() == ray_private.address_of_started_cluster() == "10.0.0.1:6379"


def test_hidden_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    hide(monkeypatch, "ray._private.utils", "read_ray_address")
    assert ray_private.address_of_started_cluster() is None
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / ray_private.ADDRESS_FILE).write_text("10.0.0.1:6379\n")
    assert ray_private.address_of_started_cluster() == "10.0.0.1:6379"
    monkeypatch.setitem(sys.modules, "ray._private.utils", None)
    assert ray_private.address_of_started_cluster() == "10.0.0.1:6379"


# The autoscaler's file


def test_cluster_file_that_ray_up_leaves_on_the_head() -> None:
    commands = importlib.import_module("ray.autoscaler._private.commands")
    assert f"--autoscaling-config={ray_private.BOOTSTRAP_FILE}" in inspect.getsource(commands)


@pytest.mark.parametrize(("text", "found"), [("max_workers: 3", {"max_workers": 3}), ("", {}), (None, {})])
def test_hidden_cluster_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, found: dict[str, Any]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if text is not None:
        (tmp_path / ray_private.BOOTSTRAP_FILE.name).write_text(text)
    assert ray_private.autoscaler_config() == found


# The process and the error of a trial


@pytest.fixture
def trial(joined: None, tmp_path: Path) -> Any:
    """A trial of Tune's, as its controller makes them."""
    from ray.train._internal.storage import StorageContext
    from ray.tune.experiment import Trial

    storage = StorageContext(storage_path=str(tmp_path), experiment_dir_name="study", trial_dir_name="trial")
    made = Trial("PPO", stub=True, storage=storage)
    Path(made.local_path).mkdir(parents=True, exist_ok=True)
    return made


@pytest.mark.ray
def test_actor_of_a_trial(trial: Any) -> None:
    trial.temporary_state.ray_actor = "actor"  # the name that Tune's controller reads and writes
    assert "self.temporary_state.ray_actor = ray_actor" in inspect.getsource(type(trial).set_ray_actor)


@pytest.mark.ray
@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize("hidden", [False, True])
def test_process_of_a_trial_is_ended_and_so_where_its_actor_is_hidden(hidden: bool) -> None:
    class Actor:
        def pid(self) -> int:
            return os.getpid()

    actor = ray.remote(Actor).options(num_cpus=0).remote()
    result = {"pid": ray.get(actor.pid.remote()), "node_ip": ray.util.get_node_ip_address()}
    trial = SimpleNamespace(last_result=result)
    if not hidden:
        trial.temporary_state = SimpleNamespace(ray_actor=actor)
    ray_private.end_process(trial)
    until = time.monotonic() + 20
    with suppress(RayActorError):
        while time.monotonic() < until:  # Ray ends it in its own time
            ray.get(actor.pid.remote(), timeout=20)
    assert time.monotonic() < until


@pytest.mark.ray
def test_error_of_a_trial(trial: Any) -> None:
    assert ray_private.error_of(trial) is None
    trial.handle_error(ActorDiedError())
    assert Path(trial.pickled_error_file).is_file(), "not only by the fallback"
    error = ray_private.error_of(trial)
    assert isinstance(error, ActorDiedError)
    assert not Path(trial.pickled_error_file).exists() and not Path(trial.error_file).exists()


@pytest.mark.ray
def test_tune_does_not_try_again_by_itself_what_was_on_a_preempted_node(trial: Any) -> None:
    """It would do so without end, and the searcher would not hear of it."""
    trial.handle_error(RayActorError(preempted=True))
    assert trial.should_recover(), "Tune has changed: is the setting still needed?"
    with ray_private.environment(ray_private.TUNE_SETTINGS):
        trial.handle_error(RayActorError(preempted=True))
    assert not trial.should_recover()


def test_hidden_error_of_a_trial() -> None:
    kept = SimpleNamespace(get_pickled_error=lambda: OutOfMemoryError("planted"))
    assert isinstance(ray_private.error_of(kept), OutOfMemoryError)
    assert ray_private.error_of(SimpleNamespace()) is None
    nothing = SimpleNamespace(pickled_error_file=None, get_pickled_error=lambda: None)
    assert ray_private.error_of(nothing) is None


# Train's exceptions


@pytest.mark.parametrize("name", ray_private.NOT_PLACED)
def test_names_of_trains_exceptions_for_a_group_without_devices(name: str) -> None:
    exceptions = importlib.import_module("ray.train.v2._internal.exceptions")
    kind = getattr(exceptions, name)
    assert ray_private.is_not_placed(kind(4))
    wrapped = ray.train.ControllerError(kind(4))
    assert ray_private.is_not_placed(pickle.loads(pickle.dumps(wrapped)).controller_failure)


def test_hidden_exceptions_of_train() -> None:
    assert not ray_private.is_not_placed(RuntimeError("not placed, by another name"))
    assert not ray_private.is_not_placed(None)


def test_attribute_of_trains_failed_health_check() -> None:
    exceptions = importlib.import_module("ray.train.v2._internal.exceptions")
    died = ActorDiedError()
    assert ray_private.death_of_rank(exceptions.WorkerHealthCheckFailedError("rank 1", died)) is died
    assert ray_private.death_of_rank(exceptions.WorkerHealthCheckFailedError("rank 1", ValueError())) is None


def test_hidden_attribute_of_a_failed_health_check() -> None:
    assert ray_private.death_of_rank(RuntimeError("planted")) is None


def test_a_placement_group_is_found_by_its_id() -> None:
    identifier = ray.PlacementGroupID.from_random()
    assert ray_private.placement_group_of(identifier.hex()).id == identifier


# Deaths that Tune does not know


@pytest.mark.parametrize("name", ray_private.MODULES_THAT_JUDGE_DEATHS)
def test_where_tune_judges_deaths(name: str) -> None:
    module: Any = importlib.import_module(name)
    assert module.RayActorError is RayActorError
    assert "isinstance(exception, RayActorError)" in inspect.getsource(module)
    with ray_private.deaths_recognised_by_tune():
        assert all(issubclass(death, module.RayActorError) for death in DEATHS)
    assert module.RayActorError is RayActorError, "restored"


def manager_with_a_dead_actor(error: Exception) -> list[str]:
    """What Tune's manager of actors calls when a task of one has failed."""
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.air.execution._internal.tracked_actor import TrackedActor
    from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
    from ray.air.execution.resources.fixed import FixedResourceManager

    called: list[str] = []
    actor = TrackedActor(1, on_error=lambda *_: called.append("actor"))
    manager = RayActorManager(FixedResourceManager({"CPU": 1}))
    manager._cleanup_actor = lambda tracked_actor: None  # type: ignore[method-assign]
    task = TrackedActorTask(actor, on_error=lambda *_: called.append("task"))
    manager._actor_task_failed(task, error)
    return called


def test_a_process_that_took_too_much_memory_costs_one_trial_alone() -> None:
    with ray_private.deaths_recognised_by_tune():
        assert manager_with_a_dead_actor(OutOfMemoryError("planted")) == ["actor", "task"]


def test_tune_still_needs_to_be_told_of_such_deaths() -> None:
    with pytest.raises(RuntimeError, match="unexpected exception") as raised:
        manager_with_a_dead_actor(OutOfMemoryError("planted"))
    assert ray_private.is_death_unknown_to_tune(raised.value)


def test_hidden_judges_of_deaths_leave_a_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module(ray_private.MODULES_THAT_JUDGE_DEATHS[0])
    monkeypatch.setattr(ray_private, "MODULES_THAT_JUDGE_DEATHS", ("ray.moved", "ray.tune"))
    with ray_private.deaths_recognised_by_tune():
        assert module.RayActorError is RayActorError
    assert ray_private.is_death_unknown_to_tune(RuntimeError("Traceback:\nray.exceptions.OutOfMemoryError"))
    assert not ray_private.is_death_unknown_to_tune(ValueError("of the user's own"))


# Loggers and environment variables


@pytest.mark.parametrize("name", [ray_private.CONTROLLER_LOGGER, *ray_private.QUIET_TUNE_LOGGERS])
def test_loggers_of_tune(name: str) -> None:
    assert importlib.import_module(name).logger.name == name


def test_logger_of_the_job_client() -> None:
    module = importlib.import_module(ray_private.JOB_CLIENT_LOGGER)
    assert module.logger.name == ray_private.JOB_CLIENT_LOGGER


def logging_state() -> dict[str, Any]:
    names = (ray_private.CONTROLLER_LOGGER, ray_private.JOB_CLIENT_LOGGER, *ray_private.QUIET_TUNE_LOGGERS)
    loggers = {name: logging.getLogger(name) for name in names}
    return {name: (logger.level, list(logger.filters)) for name, logger in loggers.items()}


def test_hidden_loggers_and_all_others_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_private, "QUIET_TUNE_LOGGERS", ("ray.tune.moved", "ray.tune.tune"))
    before = logging_state()
    with ray_private.quiet_tune(lambda record: False), ray_private.quiet_job_client():
        assert not logging.getLogger("ray.tune.tune").isEnabledFor(logging.ERROR)
        assert logging_state() != before
    assert logging_state() == before


@pytest.mark.parametrize("name", [*ray_private.TUNE_SETTINGS, "TUNE_MAX_PENDING_TRIALS_PG"])
def test_environment_variables_that_tune_reads(name: str) -> None:
    assert ray_names(name, "tune", "air")


@pytest.mark.parametrize("name", ray_private.TRAIN_SETTINGS)
def test_environment_variables_that_train_reads(name: str) -> None:
    assert ray_names(name, "train", "tune", "air")


def ray_names(word: str, *packages: str) -> bool:
    """Whether the source of these parts of Ray holds a word."""
    folder = Path(ray.__file__).parent
    paths = [path for package in packages for path in (folder / package).rglob("*.py")]
    return any(word in path.read_text(errors="replace") for path in paths)


def test_environment_is_restored_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKEN", "before")
    monkeypatch.delenv("ABSENT", raising=False)
    before = dict(os.environ)
    with suppress(ValueError), ray_private.environment({"TAKEN": None, "ABSENT": "x"}):
        assert "TAKEN" not in os.environ and os.environ["ABSENT"] == "x"
        raise ValueError("planted")
    assert dict(os.environ) == before
    with ray_private.environment({"TAKEN": "now", "ABSENT": "x"}, override=False):
        assert os.environ["TAKEN"] == "before" and os.environ["ABSENT"] == "x"
    assert dict(os.environ) == before


SET_BY_LIBRARIES = {"PATH", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
"""As soon as decord and scikit-learn are loaded, which the first sweep of a process does."""


@pytest.mark.ray
@pytest.mark.usefixtures("formula_runs")
def test_a_sweep_leaves_the_process_as_it_was(manifest: Path, tmp_path: Path) -> None:
    def state() -> dict[str, Any]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        library = logging.getLogger("learner_ray")
        shown = library.level, list(library.handlers)
        return {"signals": handlers, "shown": shown, **logging_state(), **os.environ}

    before = state()
    assert sweep(manifest, tmp_path / "results" / "lus", *SMALL, "--arms", "mse", "--trials", "0") == 0
    after = state()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not changed - SET_BY_LIBRARIES
