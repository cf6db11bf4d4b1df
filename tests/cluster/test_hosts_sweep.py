"""A sweep over three hosts, one of which is lost for good in its middle; the last test takes them down."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from learner_ray.study.study import WITH_EARLIER_SCORE
from learner_ray.training.run import CHECKPOINT_SECONDS
from tests.cluster.hosts import NEEDS_HOSTS, TINY, virtual_hosts, wait_until
from tests.cluster.runs_of_hosts import holder, in_training, progress

pytestmark = NEEDS_HOSTS

ARMS = ("mse", "contrastive", "majority")
SWEEP = f"cd ~/learner_ray && python -m learner_ray.sweep lus {TINY} --folds 2"
"""Typed on a host."""
SEARCHED = f"--arms {','.join(ARMS)} --epochs 10 --trials 2 --parallel-trials 2"
"""Of so many epochs that a host can be pulled in the middle of a run."""


def comparable(folder):
    ledger = pd.read_parquet(folder / "ledger.parquet")
    return ledger.sort_values(["arm", "repeat", "fold", "seed", "pair"], ignore_index=True)


@dataclass(frozen=True)
class Swept:
    """A sweep over three hosts, the last of which was pulled while it held a run."""

    results: Path
    held: Counter[str]
    """Runs ended, by host."""
    lost: Path
    """The run that was being trained on the pulled host."""
    before: list[dict[str, Any]]
    """Its progress at that moment."""

    @property
    def repeated(self):
        """The finished epochs that were trained again: how long an epoch took differs every time."""
        after = progress(self.lost)
        return [old for old, new in zip(self.before, after, strict=False) if old != new]


@pytest.fixture(scope="module")
def swept(cluster):
    results, log = cluster.folder / "results", cluster.folder / "sweep.log"
    start = time.monotonic()
    sweep = cluster.open(1, f"{SWEEP} {SEARCHED} --data {cluster.data} --out {results / 'lus'}", log)
    try:
        wait_until(lambda: in_training(results, "host3") or sweep.poll() is not None, 400, step=0.02)
        assert sweep.poll() is None, log.read_text()
        lost = in_training(results, "host3")
        virtual_hosts("kill", cluster.folder, 3)
        pulled, before = time.monotonic() - start, progress(lost)
        code = sweep.wait(timeout=600)
    finally:
        sweep.kill()
    assert code == 0, log.read_text()
    seconds = time.monotonic() - start
    held = Counter(holder(run) for run in (results / "runs").iterdir())
    swept = Swept(results, held, lost, before)
    print(f"\nall done {seconds:.0f} s after the sweep's start; runs ended by {dict(sorted(held.items()))}")
    print(
        f"host3 pulled after {pulled:.0f} s, in epoch {len(before) + 1} of its run; "
        f"{len(swept.repeated)} finished epochs repeated"
    )
    return swept


def test_every_run_ends_though_a_host_is_lost(swept):
    assert holder(swept.lost) in ("host1", "host2"), "the lost host's run was not taken up"
    assert swept.held["host1"] and swept.held["host2"], "a host had nothing to do"
    runs = (swept.results / "runs").iterdir()
    assert {json.loads((run / "state.json").read_text())["state"] for run in runs} <= {"complete", "stopped"}
    ledger = comparable(swept.results / "lus")
    arms = ledger["arm"].str.removesuffix(WITH_EARLIER_SCORE)
    assert set(arms) == set(ARMS) and ledger.groupby([arms, "fold"]).ngroups == 2 * len(ARMS)


def test_a_lost_host_costs_an_epoch_or_a_checkpoints_interval(swept):
    assert sum(row["seconds/train"] for row in swept.repeated[1:]) <= CHECKPOINT_SECONDS
    for run in (swept.results / "runs").iterdir():
        epochs = [row["epoch"] for row in progress(run)]
        assert epochs == list(range(1, len(epochs) + 1)), "an epoch is missing, or written twice"


def test_the_ledger_is_that_of_one_host(cluster, swept):
    alone = cluster.folder / "alone"
    log = cluster.folder / "alone.log"
    line = f"{SWEEP} {SEARCHED} --data {cluster.data} --address local --out {alone / 'lus'}"
    assert cluster.open(1, line, log).wait(600) == 0, log.read_text()
    pd.testing.assert_frame_equal(
        comparable(alone / "lus"), comparable(swept.results / "lus"), check_exact=True
    )


def test_a_run_on_two_hosts_is_that_of_two_ranks_on_one(cluster, swept):
    """A CPU on each of the two hosts that are left: a run of two ranks must take both."""
    line = f"{SWEEP} --arms mse --epochs 1 --trials 0 --data {cluster.data} --set train.precision=float64"
    folders = []
    for name, options in (("across", "--max-concurrent 1"), ("one-host", "--address local")):
        folders.append(cluster.folder / name / "lus")
        log = cluster.folder / f"{name}.log"
        start = time.monotonic()
        sweep = cluster.open(1, f"{line} --devices-per-trial 2 {options} --out {folders[-1]}", log)
        assert sweep.wait(600) == 0, log.read_text()
        print(f"two ranks, {name}: {time.monotonic() - start:.0f} s")
    across, one = (comparable(folder) for folder in folders)
    probabilities = ["p_worse", "p_same", "p_better"]
    difference = (across[probabilities] - one[probabilities]).abs().to_numpy().max()
    print(f"largest difference of a probability: {difference:.1e}")
    assert difference <= 1e-9


def test_after_ray_down_no_host_runs_ray(cluster):
    """On hosts of one's own the launcher stops the head alone; the others leave once they miss it.

    Two agents of Ray's, which hold no device and run nothing for anybody, were seen to leave a minute later.
    """
    agents = "ray::(DashboardAgent|RuntimeEnvAgent)"
    line = f"ps -eo args | grep -E '[r]aylet/raylet|[g]cs_server|^ray::' | grep -cvE '{agents}' || true"
    counts = lambda: [int(cluster.run(host, line)) for host in (1, 2)]  # noqa: E731
    assert all(counts())
    cluster.ray("down")
    seconds = wait_until(lambda: not any(counts()), 150)
    print(f"no Ray process {seconds:.0f} s after `ray down`")
