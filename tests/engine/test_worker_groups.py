"""Runs on two devices each: the ledger of one device, whatever dies, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks.processes import named
from learner_ray.engine.connection import BOOTSTRAP
from learner_ray.sweep import main
from tests.ray_head import free_address, head
from tests.small_cohort import sweep_command

ARGUMENTS = ["--profile", "laptop", "--folds", "2", "--trials", "4", "--epochs", "4", "--address", "local"]
ARGUMENTS += ["--set", "data.image_size=32", "--set", "data.frames=2", "--arms", "mse"]
# In float32 the rounding of one split of a batch can move a rectified unit of so small a network across zero:
# its gradient then differs by 1e-3, on one kind of processor and not on another.
ARGUMENTS += ["--set", "train.precision=float64"]


class Sweep:
    """The command in a process of its own, with all processes that it ever led to."""

    def __init__(self, manifest: Path, out: Path, devices: int) -> None:
        command = sweep_command(manifest, out, *ARGUMENTS, "--devices-per-trial", str(devices))
        self.out = out
        self.seen: dict[int, str] = {}
        self._driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def ended(self) -> int:
        """Runs that have ended."""
        return len(list((self.out.parent / "runs").glob("*/state.json")))

    def goes_on(self) -> bool:
        self.seen |= descendants(self._driver.pid)
        time.sleep(0.1)
        return self._driver.poll() is None

    def finish(self) -> Path:
        """The results folder, once the study is complete and all its processes have gone."""
        until = time.monotonic() + 600
        while self.goes_on():
            assert time.monotonic() < until
        assert self._driver.returncode == 0
        until = time.monotonic() + 10
        while left := {pid for pid, begun in self.seen.items() if stat(pid)[1] == begun}:
            assert time.monotonic() < until, left
            time.sleep(0.1)
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


@pytest.fixture(scope="module")
def one_device(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Sweep(manifest, tmp_path_factory.mktemp("one") / "lus", devices=1).finish()


def check_equal(out: Path, expected: Path) -> None:
    ledgers = [pd.read_parquet(folder / "ledger.parquet") for folder in (out, expected)]
    keys = ["arm", "fold", "seed", "pair", "y_true", "p_worse", "p_same", "p_better"]
    pd.testing.assert_frame_equal(*(ledger[keys] for ledger in ledgers), rtol=0, atol=1e-9)
    trials = [pd.read_parquet(folder / "trials.parquet") for folder in (out, expected)]
    keys = ["arm", "fold", "trial", "run_hash", "state", "epochs"]
    pd.testing.assert_frame_equal(*(table[keys] for table in trials))


@pytest.mark.slow
def test_two_devices_per_trial_give_the_ledger_of_one(
    manifest: Path, one_device: Path, tmp_path: Path
) -> None:
    out = Sweep(manifest, tmp_path / "lus", devices=2).finish()
    check_equal(out, one_device)
    trials = pd.read_parquet(out / "trials.parquet")
    assert len(trials) == 8 and {"stopped", "complete"} <= set(trials["state"])


@pytest.mark.slow
def test_a_study_survives_the_death_of_a_rank_and_of_a_controller(
    manifest: Path, one_device: Path, tmp_path: Path
) -> None:
    sweep = Sweep(manifest, tmp_path / "lus", devices=2)
    for ended, victim in enumerate(("RayTrainWorker", "TrainController"), start=1):
        while sweep.ended < 2 * ended or not (alive := named(sweep.seen, victim)):
            assert sweep.goes_on()
        os.kill(alive[-1], signal.SIGKILL)
    check_equal(sweep.finish(), one_device)


@pytest.fixture
def promises_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A head of two CPUs, whose autoscaler's file promises two more that never come."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("HOME", str(tmp_path))
    node = {"resources": {"CPU": 4}, "max_workers": 1}
    promise = {"max_workers": 1, "available_node_types": {"worker": node}}
    (tmp_path / BOOTSTRAP.name).write_text(yaml.safe_dump(promise))
    address = free_address()
    with head(address, "--num-cpus=2"):
        yield address


@pytest.mark.slow
def test_a_group_whose_node_never_comes_is_given_nothing(
    manifest: Path, one_device: Path, promises_more: str, tmp_path: Path
) -> None:
    options = [*ARGUMENTS, "--devices-per-trial", "2"]
    options[options.index("local")] = promises_more
    command = sweep_command(manifest, tmp_path / "r" / "lus", *options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "(up to 4 CPU)" in done.stdout and "starting it again" not in done.stdout
    check_equal(tmp_path / "r" / "lus", one_device)


@pytest.mark.slow
def test_a_study_whose_devices_never_come_ends_and_says_so(
    manifest: Path, promises_more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "0.5")
    options = [*ARGUMENTS, "--devices-per-trial", "4"]
    options[options.index("local")] = promises_more
    command = sweep_command(manifest, tmp_path / "r" / "lus", *options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.strip().endswith("could be started: so many are not free, or not there")
    assert done.stdout.count("a worker group of 4 devices did not start") == 1


HANGS_ONCE = """
import dataclasses, pathlib, time
import search_spaces.lus as lus
from learner_ray.objectives import Objective
from learner_ray.study.study import Arm

FLAG = pathlib.Path(__file__).with_suffix(".hung")

class Hangs(Objective):
    name = "hangs"
    def loss(self, batch):
        if not FLAG.exists():
            FLAG.touch()
            time.sleep(10_000)
        return batch.embeddings.square().mean()

arms = (*lus.STUDY.arms, Arm(name="hangs", label="Hangs", edits={"objective.name": "hangs"}))
STUDY = dataclasses.replace(lus.STUDY, name="hangs", arms=arms, objectives=(Hangs,))
"""


@pytest.mark.slow
def test_ranks_that_hang_are_ended_and_their_run_goes_on(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One rank sleeps and the other waits for it: neither dies of itself."""
    study = tmp_path / "hangs.py"
    study.write_text(HANGS_ONCE)
    options = [*ARGUMENTS, "--devices-per-trial", "2", "--trials", "0", "--hung-after", "20"]
    options[options.index("--arms") + 1] = "hangs"
    out = tmp_path / "results" / "hangs"
    assert main([str(study), "--data", str(manifest), "--out", str(out), *options]) == 0
    said = capfd.readouterr().out
    assert said.count("hung: no epoch within 20 s; starting it again") == 1 and "did not start" not in said
    assert " 0 failed" in said and len(pd.read_parquet(out / "ledger.parquet")) == 36


def test_more_devices_than_there_are_is_refused(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["lus", "--data", str(manifest), "--out", str(tmp_path / "lus"), "--address", "local"]
    assert main([*arguments, "--devices-per-trial", "1000"]) == 2
    assert "--devices-per-trial 1000" in capsys.readouterr().err
