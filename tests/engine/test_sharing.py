"""Runs share a GPU as long as one more is worth it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.engine.connection import Devices
from learner_ray.engine.sharing import SharingMeasurement, choose_runs_per_gpu, gpu_fraction
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
    assert choose_runs_per_gpu({1: alone, 2: barely}.get, 4) == 1


@pytest.mark.parametrize(
    ("rates", "memory", "chosen"),
    [
        ([100, 105], 0.1, 1),  # fills the GPU alone
        ([100, 150, 160], 0.1, 2),
        ([100, 150, 200, 240], 0.1, 4),
        ([100, 90, 300], 0.1, 1),
        ([100, 200, 300], 0.4, 2),  # three do not fit
        ([100, None], 0.1, 1),  # two do not fit, though they seemed to
        ([None], 0.1, 1),
    ],
)
def test_one_more_must_be_worth_it_and_fit(rates: list[float | None], memory: float, chosen: int) -> None:
    def measure(runs: int) -> SharingMeasurement | None:
        rate = rates[runs - 1]
        return None if rate is None else SharingMeasurement(runs=runs, scans_per_s=rate, memory=memory * runs)

    assert choose_runs_per_gpu(measure, 4) == chosen


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
sharing.TIMED_SECONDS, sharing.MIN_SPEEDUP, sharing.MAX_RUNS_PER_GPU = 1.0, 0.0, 2
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.long
def test_as_many_runs_share_a_gpu_as_was_measured(claims_a_gpu: str, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "lus"
    command = [sys.executable, "-c", SWEEP, "lus", "--data", str(manifest), "--out", str(out)]
    command += ["--address", claims_a_gpu, *ARGUMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    for said in ("1 run on a GPU: ", "2 runs on a GPU: ", "2 runs at a time on each GPU"):
        assert said in done.stdout
    rows = [json.loads(line) for p in out.parent.glob("runs/*/progress.jsonl") for line in p.open()]
    assert {row["devices"] for row in rows} == {0.5}, "of the device time"
    locks = (out.parent / "runs").glob("*/.lock")
    assert len({lock.read_text().split()[1] for lock in locks}) == 2, "processes that trained"
