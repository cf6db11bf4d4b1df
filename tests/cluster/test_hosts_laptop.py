"""Sweeps typed on a laptop, which run on three hosts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.hosts import NEEDS_HOSTS, ROOT, TINY
from tests.small_cohort import write_cohort

pytestmark = NEEDS_HOSTS

SMALL = f"lus {TINY} --arms mse,majority --epochs 1 --trials 0 --folds 2"


def on_laptop(cluster, *options, study=SMALL):
    """The sweep as typed on the laptop; it starts on the cluster."""
    command = [sys.executable, "-m", "learner_ray.sweep", *study.split(), "--cluster", str(cluster.file)]
    return subprocess.Popen(
        [*command, *map(str, options)],
        env=cluster.environment | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        cwd=cluster.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def small(cluster):
    """The results of a sweep that a laptop has submitted, left and found again; they are home, too."""
    there = cluster.folder / "shared" / "small"
    start = time.monotonic()
    left = on_laptop(cluster, "--data", cluster.data, "--out", there)
    said = next((line for line in left.stdout if line.startswith("Submitted")), "nothing was submitted")
    left.send_signal(signal.SIGINT)
    said += left.communicate(timeout=60)[0]
    assert left.returncode == 130 and "; it keeps running on the cluster." in said, said
    found = on_laptop(cluster, "--data", cluster.data, "--out", there)
    said = found.communicate(timeout=600)[0]
    assert found.returncode == 0 and said.startswith("Found"), said
    print(f"\nsubmitted, left, found again and home in {time.monotonic() - start:.0f} s")
    return there


def test_a_laptop_may_leave_its_sweep_and_find_it_again(cluster, small):
    home = cluster.home / "results"
    assert (home / "small" / "ledger.parquet").read_bytes() == (small / "ledger.parquet").read_bytes()
    runs = set(pd.read_parquet(home / "small" / "ledger.parquet")["run_hash"])
    assert {path.parent.name for path in home.glob("runs/*/predictions.parquet")} == runs
    assert not list(home.rglob("*.pt"))


def test_what_only_the_head_can_see_is_refused(cluster):
    write_cohort(cluster.folder / "home1" / "cohort")
    data = cluster.run(1, "realpath ~/cohort/manifest.csv").strip()
    refused = on_laptop(cluster, "--data", data, "--out", Path(data).parent / "results" / "lus")
    said = refused.communicate(timeout=240)[0]
    assert refused.returncode == 2, said
    for host in ("host2", "host3"):
        assert (
            f"{host} cannot see {data}" in said and f"{host} cannot see {Path(data).parent}/results" in said
        )
    assert "host1 cannot" not in said


OWN = """
from dataclasses import replace
from learner_ray.losses.base import Loss
from learner_ray.study.study import Arm
from search_spaces.lus import STUDY as LUS

class Own(Loss):
    name = "own"
    def compute(self, batch):
        return batch.embeddings.new_zeros(())

arms = (LUS.arm("mse"), Arm(name="own", label="Own loss", edits={"loss.name": "own"}))
STUDY = replace(LUS, name="own", arms=arms, default_arms=("mse", "own"))
"""


def test_a_study_file_of_ones_own_runs_there_with_its_own_loss(cluster):
    (cluster.home / "own.py").write_text(OWN)
    there = cluster.folder / "shared" / "own"
    study = f"./own.py {TINY} --epochs 1 --trials 0 --folds 2"
    sent = on_laptop(cluster, "--data", cluster.data, "--out", there, study=study)
    said = sent.communicate(timeout=600)[0]
    assert sent.returncode == 0 and (there.parent / "studies" / "own.py").read_text() == OWN, said
    ledger = pd.read_parquet(cluster.home / "results" / "own" / "ledger.parquet")
    assert {"mse", "own"} <= set(ledger["arm"])
