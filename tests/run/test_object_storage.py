"""Results and data in object storage: what lies there is the truth, whichever machine goes on."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from learner_ray import check
from learner_ray.core.errors import StorageError, UserError
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.object_storage import StoredFolder, fetched
from learner_ray.study.results import Results
from learner_ray.sweep import main
from learner_ray.training.run import TrainingRun
from tests.formula_runs import hold, release
from tests.run.test_integrity import FINAL as RUN
from tests.run.test_integrity import final_run
from tests.small_sweep import GUARD_S, SMALL, ended, sweep, sweep_command, wait_until
from tests.training.test_run import FINAL, spec


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server that speaks S3's protocol."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket{abs(hash(request.node.name))}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return name


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From here on as on a machine whose disk this folder is."""
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(folder))


def test_a_fetch_makes_the_copy_equal(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = StoredFolder.at(f"s3://{bucket}/a/b/")
    machine(monkeypatch, tmp_path / "one")
    (folder.local / "deep").mkdir(parents=True)
    for name in ("x", "deep/y", ".own"):
        (folder.local / name).write_text(f"{name} of one")
    folder.publish()
    machine(monkeypatch, tmp_path / "two")
    folder.local.mkdir(parents=True)
    for name in ("x", "gone", ".own"):
        (folder.local / name).write_text(f"{name} of two, and newer")
    folder.fetch(without="y")
    found = {str(p.relative_to(folder.local)): p.read_text() for p in folder.local.rglob("*") if p.is_file()}
    assert found == {"x": "x of one", ".own": ".own of two, and newer"}


def test_only_what_changed_is_written(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, tmp_path)
    folder = StoredFolder.at(f"s3://{bucket}/a")
    folder.local.mkdir(parents=True)
    for name in ("first", "state.json", "z"):
        (folder.local / name).write_text("old!")
    written: list[str] = []
    upload = StoredFolder._upload

    def seen(self: StoredFolder, system: object, source: Path, target: str) -> None:
        written.append(source.name)
        upload(self, system, source, target)

    monkeypatch.setattr(StoredFolder, "_upload", seen)
    folder.publish(last=("state.json",))
    assert written == ["first", "z", "state.json"]
    folder.publish()
    (folder.local / "z").write_text("new!")  # as long as before
    folder.publish()
    assert written[3:] == ["z"]
    folder.remove("z")
    assert not folder.holds("z") and folder.holds("first") and not (folder.local / "z").exists()


def test_a_folder_that_is_written_anew_leaves_nothing_of_before(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, tmp_path)
    folder = StoredFolder.at(f"s3://{bucket}/a")
    for names in (("kept", "curves/first", "curves/second"), ("curves/second", "curves/third")):
        shutil.rmtree(folder.local, ignore_errors=True)
        (folder.local / "curves").mkdir(parents=True)
        for name in names:
            (folder.local / name).write_text(name)
        folder.publish(whole="curves")
    found = [name for name in ("kept", "curves/first", "curves/second", "curves/third") if folder.holds(name)]
    assert found == ["kept", "curves/second", "curves/third"]


def test_a_look_at_a_copy_reaches_the_storage(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch removes what the storage lacks, and a report on the copy is a look."""
    for name in ("one", "two"):
        machine(monkeypatch, tmp_path / name)
        results = Results(f"s3://{bucket}/results/lus")
        results.fetch()
        look = results.out / "looks" / f"{name}.json"
        look.parent.mkdir(parents=True, exist_ok=True)
        look.write_text("{}")
        results.fetch()
        assert look.exists()
    assert {path.name for path in look.parent.iterdir()} == {"one.json", "two.json"}


def test_a_bucket_that_is_not_there_is_named(
    bucket: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StoredFolder.at(f"s3://no-{bucket}/a")
    with pytest.raises(StorageError, match=f"s3://no-{bucket}/a: "):
        folder.leave("x")
    with pytest.raises(UserError, match="there is nothing there"):
        fetched(f"s3://{bucket}/nothing/manifest.csv")
    assert main(["lus", "--data", str(manifest), "--out", f"s3://no-{bucket}/r/lus", *SMALL]) == 2
    error = capsys.readouterr().err
    assert f"--out s3://no-{bucket}/r/lus cannot be written to" in error and "Traceback" not in error


@pytest.mark.parametrize("url", ["http://host/x", "s3://bucket", "s3://bucket/"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(UserError, match="s3://BUCKET/FOLDER"):
        StoredFolder.at(url)


def test_results_among_the_data_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for data in ("s3://bucket/manifest.csv", "s3://bucket/results"):
        assert main(["lus", "--data", data, "--out", "s3://bucket/results/lus", *SMALL]) == 2
        assert "among the data" in capsys.readouterr().err


def upload(manifest: Path, url: str, monkeypatch: pytest.MonkeyPatch, disk: Path) -> None:
    """Puts a cohort's files into object storage."""
    machine(monkeypatch, disk)
    folder = StoredFolder.at(url)
    folder.local.parent.mkdir(parents=True)
    folder.local.symlink_to(manifest.parent)
    folder.publish([path.name for path in manifest.parent.iterdir() if path.is_file()])


@pytest.mark.long
def test_a_run_that_trains_leaves_all_but_its_checkpoint_there(
    bucket: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"s3://{bucket}/runs/a"
    machine(monkeypatch, tmp_path / "one")
    monkeypatch.setattr("learner_ray.training.run.CHECKPOINT_SECONDS", 0)
    folder = RunFolder.at(address)
    run = TrainingRun(spec(manifest, FINAL, train__epochs=2), folder)
    run.advance()
    assert StoredFolder.at(address).holds("last.pt")
    while run.advance() is not None:
        pass
    assert not StoredFolder.at(address).holds("last.pt") and StoredFolder.at(address).holds("encoder.pt")
    machine(monkeypatch, tmp_path / "two")
    again = RunFolder.at(address)
    again.fetch()
    for name in ("predictions.parquet", "progress.jsonl", "state.json"):
        assert (again.path / name).read_bytes() == (folder.path / name).read_bytes()
    assert not (again.path / "last.pt").exists()


def test_what_lies_there_proves_a_runs_end_and_its_copy_does_not(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Models are not fetched: their sizes are compared as the storage lists them."""
    machine(monkeypatch, tmp_path / "one")
    root = StoredFolder.at(f"s3://{bucket}/results")
    written = final_run(root.local, RUN)
    root.publish()
    machine(monkeypatch, tmp_path / "two")

    def fault() -> str:
        store = RunStore(root.local, root)
        store.fetch()
        return store.folder(RUN.hash).fault(RUN.hash)

    def upload(name: str, content: bytes) -> None:
        (written.path / name).write_bytes(content)
        machine(monkeypatch, tmp_path / "one")
        root.publish()
        machine(monkeypatch, tmp_path / "two")

    assert fault() == ""
    copy = RunStore(root.local, root).folder(RUN.hash)
    assert not (copy.path / "encoder.pt").exists()
    status = (copy.path / "scores.parquet").stat()
    damaged = bytes(status.st_size)
    (copy.path / "scores.parquet").write_bytes(damaged)
    os.utime(copy.path / "scores.parquet", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fault() == "" and (copy.path / "scores.parquet").read_bytes() != damaged
    encoder = (written.path / "encoder.pt").read_bytes()
    upload("encoder.pt", encoder[:-1])
    assert "encoder.pt" in fault()
    upload("encoder.pt", bytes(len(encoder)))
    assert fault() == "" and check.main(["--files", root.url]) == 1
    assert f"{root.url}/runs/{RUN.hash}: encoder.pt is not" in capsys.readouterr().out
    upload("predictions.parquet", b"")
    assert "predictions.parquet" in fault()
    copy.begin_anew(RUN.hash)
    folder = root.below(f"runs/{RUN.hash}")
    names = ("config.json", "state.json", "encoder.pt", "predictions.parquet", "progress.jsonl")
    assert [name for name in names if folder.holds(name)] == ["config.json"]
    assert fault() == "" and copy.state is None


def test_a_trial_that_the_driver_stops_lists_what_the_worker_wrote(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, tmp_path / "worker")
    folder = RunFolder.at(f"s3://{bucket}/results/runs/{RUN.hash}")
    folder.write_spec(RUN)
    (folder.path / "progress.jsonl").write_text('{"epoch": 1}\n')
    folder.publish()
    machine(monkeypatch, tmp_path / "driver")
    stopped = RunFolder.at(folder.address)
    stopped.finish("stopped")
    assert stopped.fault(RUN.hash) == ""
    assert "progress.jsonl" in json.loads((stopped.path / "state.json").read_text())["files"]


@pytest.mark.long
def test_killed_on_one_machine_a_study_is_finished_on_another(
    bucket: str, manifest: Path, formula_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "undisturbed" / "lus"
    machine(monkeypatch, tmp_path / "zero")
    assert sweep(manifest, local) == 0
    data, out = f"s3://{bucket}/data/{manifest.parent.name}", f"s3://{bucket}/results/lus"
    upload(manifest, data, monkeypatch, tmp_path / "uploader")
    options = [*SMALL, "--address", "local"]
    command = sweep_command(f"{data}/manifest.csv", out, *options, module="tests.formula_runs")
    machine(monkeypatch, tmp_path / "one")
    root = StoredFolder.at(out).above.local
    hold(root, ended=3)
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, text=True)
    wait_until(lambda: ended(root) >= 3, while_runs=driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    machine(monkeypatch, tmp_path / "two")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=GUARD_S)
    machine(monkeypatch, tmp_path / "three")
    results = StoredFolder.at(out)
    results.fetch()
    # The data lie elsewhere, so the runs bear other hashes.
    ledgers = [pd.read_parquet(p / "ledger.parquet").drop(columns="run_hash") for p in (results.local, local)]
    pd.testing.assert_frame_equal(*ledgers)


@pytest.mark.long
def test_storage_that_is_gone_ends_the_study_in_one_sentence(
    bucket: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
    machine(monkeypatch, tmp_path)
    out = f"s3://{bucket}/results/lus"
    root = StoredFolder.at(out).above.local
    hold(root, ended=1)
    command = sweep_command(manifest, out, *SMALL, "--address", "local", module="tests.formula_runs")
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: ended(root), while_runs=driver)
    server.stop()
    release(root)
    _, error = driver.communicate(timeout=GUARD_S)
    assert (
        driver.returncode == 1
        and f"error: s3://{bucket}/results/" in error
        and "rerun the same command" in error
    )
    assert "Traceback" not in error
