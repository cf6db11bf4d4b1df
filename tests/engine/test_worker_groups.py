"""Runs on two devices each: the ledger of one device, whatever dies, and nothing left behind."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from benchmarks.processes import named
from learner_ray.core.errors import UserError
from learner_ray.engine import run_plan, worker_groups
from learner_ray.engine.ray_private import BOOTSTRAP_FILE
from learner_ray.sweep import main
from tests.engine.hanging import Clock
from tests.engine.planted import Goes, claim
from tests.formula_runs import FormulaRun
from tests.ray_head import CPUS, free_address, head
from tests.small_sweep import GUARD_S, SMALL, check_halving, ended, ledger, sweep, sweep_command

ARGUMENTS = [*SMALL, "--arms", "mse"]
TWO = ["--devices-per-trial", "2"]
# In float32 the rounding of one split of a batch can move a rectified unit of so small a network across zero:
# its gradient then differs by 1e-3, on one kind of processor and not on another.
REAL = [*ARGUMENTS, "--set", "train.precision=float64"]


class Sweep:
    """The command on a Ray of its own, with all processes that it ever led to."""

    def __init__(self, manifest: Path, out: Path) -> None:
        command = sweep_command(manifest, out, *REAL, *TWO, "--address", "local")
        self.out = out
        self.seen: dict[int, str] = {}
        self._driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def goes_on(self) -> bool:
        self.seen |= descendants(self._driver.pid)
        time.sleep(0.05)
        return self._driver.poll() is None

    def finish(self) -> Path:
        """The results folder, once the study is complete and all its processes have gone."""
        until = time.monotonic() + GUARD_S
        while self.goes_on():
            assert time.monotonic() < until
        assert self._driver.returncode == 0
        until = time.monotonic() + 30
        while left := {pid for pid, begun in self.seen.items() if stat(pid)[1] == begun}:
            assert time.monotonic() < until, left
            time.sleep(0.05)
        return self.out


def stat(pid: int) -> tuple[int, str]:
    """Parent and start of a process; nobody and never where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, ""
    return int(fields[1]), fields[19]


def descendants(pid: int) -> dict[int, str]:
    """Processes below one, with their starts: a number alone may come to be another's."""
    stats = {int(p.name): stat(int(p.name)) for p in Path("/proc").glob("[0-9]*")}
    found, wanted = {}, {pid}
    while wanted:
        below = {p: begun for p, (parent, begun) in stats.items() if parent in wanted}
        found |= below
        wanted = set(below)
    return found


@pytest.fixture
def one_device(formula_runs: None, manifest: Path, tmp_path: Path) -> Path:
    """The same study on one device per run."""
    assert sweep(manifest, tmp_path / "one" / "lus", *ARGUMENTS) == 0
    return tmp_path / "one" / "lus"


def check_equal(out: Path, expected: Path) -> None:
    ledgers = [pd.read_parquet(folder / "ledger.parquet") for folder in (out, expected)]
    keys = ["arm", "fold", "seed", "pair", "y_true", "p_worse", "p_same", "p_better"]
    pd.testing.assert_frame_equal(*(ledger[keys] for ledger in ledgers), rtol=0, atol=1e-9)
    trials = [pd.read_parquet(folder / "trials.parquet") for folder in (out, expected)]
    keys = ["arm", "fold", "trial", "run_hash", "state", "epochs"]
    pd.testing.assert_frame_equal(*(table[keys] for table in trials))


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_two_devices_give_the_ledger_of_one_though_a_rank_and_a_controller_die(
    manifest: Path, tmp_path: Path
) -> None:
    """With runs that really train, on a Ray of its own."""
    root = tmp_path / "results"
    assert sweep(manifest, tmp_path / "one" / "lus", *REAL) == 0
    disturbed = Sweep(manifest, root / "lus")
    for victim, after in (("RayTrainWorker", 1), ("TrainController", 3)):
        while ended(root) < after or not (alive := named(disturbed.seen, victim)):
            assert disturbed.goes_on()
        os.kill(alive[-1], signal.SIGKILL)
    check_equal(disturbed.finish(), tmp_path / "one" / "lus")
    assert len(pd.read_parquet(disturbed.out / "trials.parquet")) == 4
    check_halving(disturbed.out)


def promise(folder: Path, cpus: int) -> None:
    """An autoscaler's file in a home, which promises one more node."""
    node = {"resources": {"CPU": cpus}, "max_workers": 1}
    promised = {"max_workers": 1, "available_node_types": {"worker": node}}
    (folder / BOOTSTRAP_FILE.name).write_text(yaml.safe_dump(promised))


@pytest.mark.long
def test_a_group_whose_node_never_comes_is_given_nothing(
    manifest: Path, one_device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two groups are wanted, and there is room for one. Trials have run before: final runs are left."""
    out = tmp_path / "r" / "lus"
    for run in pd.read_parquet(one_device / "trials.parquet")["run_hash"]:
        shutil.copytree(one_device.parent / "runs" / run, out.parent / "runs" / run)
    monkeypatch.setenv("HOME", str(tmp_path))
    promise(tmp_path, cpus=4)
    address = free_address()
    options = [*ARGUMENTS, *TWO, "--address", address, "--max-concurrent", "2"]
    command = sweep_command(manifest, out, *options, module="tests.formula_runs")
    with head(address, "--num-cpus=2"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "(up to 4 CPU)" in done.stdout and "starting it again" not in done.stdout
    check_equal(out, one_device)


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_a_study_whose_devices_never_come_ends_and_says_so(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "0.5")
    monkeypatch.setattr(worker_groups, "MAX_START_ATTEMPTS", 1)
    monkeypatch.setattr(worker_groups, "STARTS_BEFORE_GIVING_UP", 1)
    monkeypatch.setenv("HOME", str(tmp_path))
    many = CPUS + 2
    promise(tmp_path, cpus=many)
    assert sweep(manifest, tmp_path / "r" / "lus", *ARGUMENTS, "--devices-per-trial", str(many)) == 2
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    assert "no worker group could be started: not enough free devices for one worker group" in said.err
    assert said.out.count(f"a worker group of {many} devices did not start") == 1


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_ranks_that_hang_are_ended_and_their_run_goes_on(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rank sleeps and the other waits for it: neither dies of itself."""
    hung = tmp_path / "hung"

    class HangsOnce(FormulaRun):
        def advance(self) -> dict[str, Any] | None:
            if self.is_first and not any(hung.iterdir()):
                (hung / str(os.getpid())).touch()
                time.sleep(10_000)
            return super().advance()

    opening = functools.partial(
        worker_groups.WorkerGroups, open_run=lambda folder, device, world: HangsOnce(folder, world)
    )
    monkeypatch.setattr(worker_groups, "WorkerGroups", opening)
    monkeypatch.setattr(run_plan, "run_study", functools.partial(run_plan.run_study, clock=Clock(hung)))
    options = [*ARGUMENTS, *TWO, "--trials", "0", "--epochs", "1", "--hung-after", "90"]
    assert sweep(manifest, tmp_path / "results" / "lus", *options) == 0
    said = capfd.readouterr().out
    assert said.count("hung: no epoch within 90 s; starting it again") == 1 and "did not start" not in said
    assert " 0 failed" in said and len(ledger(tmp_path / "results" / "lus")) == 36


def test_more_devices_than_there_are_is_refused(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["lus", "--data", str(manifest), "--out", str(tmp_path / "lus"), "--profile", "laptop"]
    assert main([*arguments, "--devices-per-trial", "1000"]) == 2
    assert "--devices-per-trial 1000" in capsys.readouterr().err


def use_planted(monkeypatch: pytest.MonkeyPatch, goes: Goes) -> None:
    """Ranks whose runs go as planted."""

    class Planted(FormulaRun):
        def advance(self) -> dict[str, Any] | None:
            goes(self)
            return super().advance()

    opening = functools.partial(
        worker_groups.WorkerGroups, open_run=lambda folder, device, world: Planted(folder, world)
    )
    monkeypatch.setattr(worker_groups, "WorkerGroups", opening)


FINALS = [*ARGUMENTS, *TWO, "--trials", "0", "--epochs", "1"]


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_an_exception_in_one_rank_costs_the_run_only_if_it_comes_again(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rank that writes nothing raises once in the first run to come, and always in the other."""
    raised = tmp_path / "raised"
    raised.mkdir()

    def goes(run: FormulaRun) -> None:
        if run.is_first:
            return
        if claim(raised, "once"):
            (raised / run.spec.hash).touch()
            raise ValueError("planted")
        if not (raised / run.spec.hash).exists():
            raise ValueError("planted")

    use_planted(monkeypatch, goes)
    assert sweep(manifest, tmp_path / "results" / "lus", *FINALS) == 3
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    assert "Finished, but 1 of 2 runs failed or diverged:" in said.out
    assert said.out.count("ValueError: planted; starting it again") == 2


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_data_that_one_rank_cannot_read_stop_the_study(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes(run: FormulaRun) -> None:
        if not run.is_first:
            raise UserError("/data/manifest.csv does not exist")

    use_planted(monkeypatch, goes)
    assert sweep(manifest, tmp_path / "results" / "lus", *FINALS) == 1
    error = capfd.readouterr().err
    assert "error: /data/manifest.csv does not exist" in error and "Traceback" not in error
    assert not ended(tmp_path / "results")
