"""A tracker is given every run once, whatever happens to it or to the study, and costs the study nothing."""

from __future__ import annotations

import logging
import math
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from learner_ray.core.errors import UserError
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.tracking import choice
from learner_ray.tracking import tracker as tracker_module
from learner_ray.tracking.choice import tracking
from learner_ray.tracking.destination import Destination, Row, TrackedRun
from learner_ray.tracking.tracker import Tracker
from tests.study.small_study import curve, runner, story

pytestmark = pytest.mark.slow
RUNS = 2 * 2 * (2 + 1)
"""Arms, folds, trials and seeds of the study below."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server on loopback."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)
                break
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def run_study(out: Path, name: str, store: MemoryStore, until: float = math.inf) -> list[Any]:
    """Runs the study, or what is left of it, followed by a tracker; what came out of it."""
    out.mkdir(exist_ok=True)
    with tracking(name, out, store, phantom=True) as tracker:
        study = runner(store, callbacks=[tracker], trials=2, seeds=1, epochs=3)
        study.resume()
        simulate(study, lambda spec: Curve(rows=curve(spec)), devices=2, until=until)
        runner(store, callbacks=[tracker], trials=2, seeds=1, epochs=3).resume()  # as after closing searches
    return story(study)


def runs_of(client: MlflowClient, study: str) -> dict[str, Run]:
    """All runs of a study by name, parents included; fails where two have one name."""
    experiment = client.get_experiment_by_name(study)
    found = client.search_runs([experiment.experiment_id])
    named = {run.info.run_name: run for run in found}
    assert len(named) == len(found)
    return named


@pytest.mark.long
def test_a_server_has_every_run_once_though_the_study_was_killed(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    store = MemoryStore()
    run_study(tmp_path / "lus", "mlflow", store, until=7.0)
    finished = run_study(tmp_path / "lus", "mlflow", store)
    run_study(tmp_path / "lus", "mlflow", store)  # nothing is left, and nothing is sent again
    client = MlflowClient(server)
    runs = runs_of(client, "lus")
    arms = {"mse", "contrastive"}
    assert len(finished) == RUNS
    assert set(runs) == arms | {label for label, *_ in finished}
    for label, run_hash, state, epochs, _ in finished:
        run = runs[label]
        assert run.data.tags["mlflow.parentRunId"] == runs[label.partition("/")[0]].info.run_id
        assert (run.data.tags["run_hash"], run.data.tags["state"]) == (run_hash, state)
        assert run.info.status == "FINISHED"
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "seconds/train")]
        assert steps == [*range(1, epochs + 1)]
    tags = {name for run in runs.values() for name in run.data.tags}
    assert not {"mlflow.user", "mlflow.source.name"} & tags


@pytest.mark.long
def test_what_a_server_that_is_gone_lacks_is_sent_by_the_next_start(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://name:secret@127.0.0.1:9")
    store = MemoryStore()
    with caplog.at_level(logging.WARNING, logger="learner_ray"):
        finished = run_study(tmp_path / "mri", "mlflow", store)
    assert len(finished) == RUNS
    (warning,) = (r.getMessage() for r in caplog.records if r.name.startswith("learner_ray"))
    assert warning.startswith("http://127.0.0.1:9 does not take the runs") and "secret" not in warning
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    run_study(tmp_path / "mri", "mlflow", store)
    assert set(runs_of(MlflowClient(server), "mri")) >= {label for label, *_ in finished}


def test_without_a_server_the_runs_stay_in_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "lus"
    finished = run_study(out, "mlflow", MemoryStore())
    assert sorted(path.name for path in out.iterdir()) == ["mlflow.db", "tracked.jsonl"]
    assert set(runs_of(MlflowClient(f"sqlite:///{out}/mlflow.db"), "lus")) >= {
        label for label, *_ in finished
    }


@pytest.mark.long
def test_files_that_are_gone_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    out, store = tmp_path / "lus", MemoryStore()
    run_study(out, "wandb", store)
    with open(out / "tracked.jsonl", "a") as file:
        file.write('{"to": "wandb", "label"')  # cut off by a kill
    run_study(out, "wandb", store)
    assert len(list(out.glob("wandb/offline-run-*/*.wandb"))) == RUNS, "nothing is sent twice"
    shutil.rmtree(out / "wandb")
    for _ in range(2):
        run_study(out, "wandb", store)
        assert len(list(out.glob("wandb/offline-run-*/*.wandb"))) == RUNS


def test_wandb_keeps_the_runs_and_nothing_of_who_ran_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("USER", "marked-user")
    monkeypatch.setattr(sys, "argv", ["marked-command", "--data", "marked-data"])
    out, store = tmp_path / "marked-folder" / "lus", MemoryStore()
    out.parent.mkdir()
    run_study(out, "wandb", store, until=7.0)
    finished = run_study(out, "wandb", store)
    files = list(out.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == RUNS, "what was begun and killed is there once"
    content = {path: path.read_bytes() for path in files}
    for label, run_hash, *_ in finished:
        assert sum(label.encode() in data and run_hash.encode() in data for data in content.values()) == 1
    marks = ["marked-user", "marked-folder", "marked-command", "marked-data"]
    if len(host := socket.gethostname()) > 5:  # a shorter one stands by chance among the bytes of a file
        marks.append(host)
    for path in (path for path in (out / "wandb").rglob("*") if path.is_file()):
        if path.suffix != ".log":  # W&B's own messages, which `wandb sync` does not send
            data = path.read_bytes()
            assert not [mark for mark in marks if mark.encode() in data], path


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'learner-ray\[wandb\]'"):
        choice.require_library("wandb")


class Slow(Destination):
    """A tracker that takes a second for whatever it is asked."""

    place, opened_with, is_empty = "slow", "", False

    def __init__(self) -> None:
        self.begun: list[str] = []

    def open(self) -> None: ...

    def begin(self, run: TrackedRun, earlier: str) -> str:
        time.sleep(1)
        self.begun.append(run.label)
        return run.label

    def add(self, run_id: str, rows: Sequence[Row]) -> None: ...

    def end(self, run_id: str, state: str) -> None: ...

    def close(self) -> None: ...


def test_a_slow_tracker_is_left_and_does_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that it wrote after the sweep would be open to others: the sweep's umask is gone by then."""
    monkeypatch.setattr(tracker_module, "SECONDS_TO_FINISH", 0.1)
    slow = Slow()
    tracker = Tracker(slow, "lus", tmp_path, store := MemoryStore(), phantom=True)
    study = runner(store, callbacks=[tracker], trials=2, seeds=1, epochs=3)
    simulate(study, lambda spec: Curve(rows=curve(spec)), devices=2)
    tracker.close()
    time.sleep(2.5)
    assert len(slow.begun) <= 1 < RUNS
