"""Runs share a GPU as long as one more is worth it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.engine import sharing
from learner_ray.engine.connection import Devices
from learner_ray.engine.sharing import (
    Sharing,
    SharingMeasurement,
    choose_sharing,
    choose_way,
    gpu_fraction,
)
from learner_ray.training.throughput import TimedEpoch, TimedTraining
from tests.ray_head import free_address, head

ARGUMENTS = ["--profile", "laptop", "--folds", "2", "--trials", "0", "--epochs", "3", "--arms", "mse"]
ARGUMENTS += ["--set", "data.image_size=32", "--set", "data.frames=2"]


def timed(begin: float, *seconds: float, memory: int = 0) -> TimedTraining:
    """A process that trained epochs of so many seconds and 10 scans each, one after the other."""
    starts = [begin + sum(seconds[:k]) for k in range(len(seconds))]
    return TimedTraining(
        epochs=tuple(TimedEpoch(begin=b, end=b + s, scans=10) for b, s in zip(starts, seconds, strict=True)),
        memory=memory,
        capacity=100,
    )


def test_only_the_time_in_which_all_trained_is_counted() -> None:
    first, second = timed(100.0, *[1.0] * 10), timed(104.5, *[2.0] * 10)  # until 110 and 124.5
    found = SharingMeasurement.of([first, second])
    assert found.runs == 2 and found.scans_per_s == pytest.approx(10 / 1 + 10 / 2)
    assert SharingMeasurement.of([timed(0, 1, 1, 1), timed(5, 1, 1, 1)]).scans_per_s == 0


def test_an_epoch_trained_in_part_alone_says_nothing_of_training_side_by_side() -> None:
    # The first was twice as fast until the second began at 4, and again after it had ended at 24.
    first, second = timed(0.0, 5.0, 10.0, 8.0, 5.0), timed(4.0, 10.0, 10.0)
    assert SharingMeasurement.of([first, second]).scans_per_s == pytest.approx(20 / 18 + 10 / 10)


def test_processes_that_hardly_overlap_are_not_measured_and_so_do_not_share() -> None:
    barely = SharingMeasurement.of([timed(0.0, 10.0, 10.0), timed(15.0, 10.0, 10.0)])
    assert barely.scans_per_s == 0 and "no epoch that all trained through" in str(barely)
    alone = SharingMeasurement.of([timed(0.0, 10.0, 10.0)])
    found = {1: alone, 2: barely}
    assert choose_sharing(lambda runs, in_one_process: found.get(runs), 4) == Sharing()


@pytest.mark.parametrize(
    ("processes", "one_process", "memory", "chosen"),
    [
        ([100, 105], [100, 105], 0.1, Sharing()),  # fills the GPU alone
        ([100, 150, 160], [100, 140, 150], 0.1, Sharing(runs=2)),
        ([100, 150, 160], [100, 155, 180], 0.1, Sharing(runs=3, in_one_process=True)),
        ([100, 150, 200, 240], [100, 150, 200, 240], 0.1, Sharing(runs=4)),  # of equals the known way
        ([100, 90, 300], [100, 120], 0.1, Sharing(runs=2, in_one_process=True)),
        ([100, 200, 300], [100, 190, 300], 0.4, Sharing(runs=2)),  # three do not fit
        ([100, None], [100, None], 0.1, Sharing()),  # two do not fit, though they seemed to
        ([None], [None], 0.1, Sharing()),
    ],
)
def test_one_more_must_be_worth_it_and_fit_and_the_faster_way_is_taken(
    processes: list[float | None], one_process: list[float | None], memory: float, chosen: Sharing
) -> None:
    def measure(runs: int, in_one_process: bool) -> SharingMeasurement | None:
        rates = one_process if in_one_process else processes
        rate = rates[runs - 1] if runs <= len(rates) else None
        if rate is None:
            return None
        return SharingMeasurement(
            runs=runs, scans_per_s=rate, memory=memory * runs, in_one_process=in_one_process
        )

    assert choose_sharing(measure, 4) == chosen


@pytest.mark.parametrize(
    ("rates", "one_process"), [((100, 90), False), ((90, 100), True), ((None, None), False)]
)
def test_of_a_number_that_was_said_the_faster_way_is_taken(
    rates: tuple[float | None, float | None], one_process: bool
) -> None:
    def measure(runs: int, in_one_process: bool) -> SharingMeasurement | None:
        rate = rates[in_one_process]
        if rate is None:
            return None
        return SharingMeasurement(runs=runs, scans_per_s=rate, memory=0.9, in_one_process=in_one_process)

    assert choose_way(measure, 3) == Sharing(runs=3, in_one_process=one_process)


def test_mps_is_seen_by_its_variable_or_its_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setattr(sharing, "MPS_PIPE", tmp_path / "control")
    assert not sharing.mps_is_on()
    (tmp_path / "control").touch()
    assert sharing.mps_is_on()
    monkeypatch.setattr(sharing, "MPS_PIPE", tmp_path / "none")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert sharing.mps_is_on()


@pytest.mark.parametrize(("size", "share", "gpus"), [(1, 2, 0), (2, 2, 4), (1, 0, 4)])
def test_what_cannot_be_shared_is_refused(size: int, share: int, gpus: int) -> None:
    with pytest.raises(UserError, match=f"--trials-per-gpu {share}: "):
        Devices(local=True, cpus=16, gpus=gpus, precision="float32").check_share(share, size)


@pytest.mark.parametrize("share", range(1, 20))
def test_all_parts_fit_into_one_gpu(share: int) -> None:
    assert (
        round(gpu_fraction(share) * 10_000) * share
        <= 10_000
        < (round(gpu_fraction(share) * 10_000) + 1) * share
    )


@pytest.fixture
def claims_a_gpu() -> Iterator[str]:
    """A cluster of one node that tells Ray of a GPU it has not."""
    address = free_address()
    with head(address, "--num-cpus=2", "--num-gpus=1"):
        yield address


# Whatever the second gains on this machine, and no third.
SWEEP = """
import sys
from learner_ray.engine import run_plan, sharing
from learner_ray.sweep import main
run_plan.RUNS_WORTH_MEASURING = 2
run_plan.BOTH = (sys.argv.pop(1) == "one-process",)
sharing.TIMED_SECONDS, sharing.MIN_SPEEDUP, sharing.MAX_RUNS_PER_GPU = 1.0, 0.0, 2
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("way", "said"), [("processes", "each in a process"), ("one-process", "in one process")]
)
def test_as_many_runs_share_a_gpu_as_was_measured(
    claims_a_gpu: str, manifest: Path, tmp_path: Path, way: str, said: str
) -> None:
    out = tmp_path / "results" / "lus"
    command = [sys.executable, "-c", SWEEP, way, "lus", "--data", str(manifest), "--out", str(out)]
    command += ["--address", claims_a_gpu, *ARGUMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    for line in ("1 run on a GPU: ", f"2 runs on a GPU, {said}: ", f"2 runs at a time on each GPU, {said}"):
        assert line in done.stdout
    rows = [json.loads(line) for p in out.parent.glob("runs/*/progress.jsonl") for line in p.open()]
    assert {row["devices"] for row in rows} == {0.5}, "of the device time"
    locks = (out.parent / "runs").glob("*/.lock")
    processes = {lock.read_text().split()[1] for lock in locks}
    assert len(processes) == (2 if way == "processes" else 1), "that trained"
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
