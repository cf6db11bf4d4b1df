"""A run whose host is taken away twice, each time with a spot node's notice, while the sweep goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.hosts import METADATA, NEEDS_HOSTS, ROOT, TINY, virtual_hosts, wait_until
from tests.cluster.runs_of_hosts import holder, in_training, progress

pytestmark = NEEDS_HOSTS

EPOCHS = 40
STUDY = """
import time
from dataclasses import replace
from pathlib import Path
from learner_ray.losses.base import Loss
from learner_ray.study.study import Arm
from search_spaces.lus import STUDY as LUS

class Held(Loss):
    name = "held"
    def compute(self, batch):
        while Path("{hold}").exists():
            time.sleep(0.05)
        return batch.embeddings.new_zeros(())

arms = (Arm(name="held", label="Held", edits={{"loss.name": "held"}}),)
STUDY = replace(LUS, name="held", arms=arms, default_arms=("held",), reference="held")
"""
"""Real training, which waits while a file is there: no run ends before its host is taken away."""
HOLDS_THE_HEAD = (
    "ray job submit --no-wait --submission-id holder --address http://127.0.0.1:8265 --entrypoint-num-cpus 1 "
    """--entrypoint-resources '{"driver": 0.001}' -- sleep 3600"""
)
"""Takes the head's only CPU, so that all runs are on hosts that can be taken away."""


def take_away(cluster, host):
    """Announces the end of a host as its cloud does, ends it once Ray knows, and plugs it in again.

    Returns:
        seconds from the announcement to when Ray knew of it.
    """
    space = f"lrhost{host}"
    subprocess.run(["ip", "-n", space, "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
    command = ["ip", "netns", "exec", space, sys.executable, "-m", "tests.cluster.metadata", METADATA]
    service = subprocess.Popen(command, cwd=ROOT)
    try:
        listens = "ps -eo args | grep -c '[c]luster.spot_notice' || true"
        seconds = wait_until(lambda: cluster.run(host, listens).strip() == "0", 60)
        virtual_hosts("kill", cluster.folder, host)
    finally:
        service.terminate()
        service.wait()
    virtual_hosts("boot", cluster.folder, host)
    return seconds


def goes_on(run, epochs):
    """The number of the host that has trained a run for more than so many epochs; 0 while none has."""
    host = holder(run).removeprefix("host")
    return int(host) if host and len(progress(run)) > epochs else 0


@dataclass(frozen=True)
class Preempted:
    """A sweep, one run of which was preempted twice."""

    results: Path
    run: Path
    before: list[list[dict]]
    """Its progress at the start, and at each of the two ends of its host."""
    said: str
    """The sweep's log."""


@pytest.fixture(scope="module")
def preempted(cluster):
    results, log = cluster.folder / "preempted", cluster.folder / "preempted.log"
    assert "submitted" in cluster.run(1, HOLDS_THE_HEAD)
    start = time.monotonic()
    study, hold = cluster.folder / "held.py", cluster.folder / "hold"
    study.write_text(STUDY.format(hold=hold))
    options = f"--folds 2 --epochs {EPOCHS} --trials 0 --data {cluster.data} --out {results / 'held'}"
    line = f"cd ~/learner_ray && python -m learner_ray.sweep {study} {TINY} {options}"
    sweep = cluster.open(1, line, log)
    try:
        wait_until(lambda: in_training(results, "host3") or sweep.poll() is not None, 300, step=0.05)
        assert sweep.poll() is None, log.read_text()
        run, before = in_training(results, "host3"), [[]]
        for _ in range(2):
            wait_until(partial(goes_on, run, len(before[-1])), 400, step=0.05)
            hold.touch()
            seconds = take_away(cluster, goes_on(run, len(before[-1])))
            before.append(progress(run))
            hold.unlink()
            print(f"\ntaken away {seconds:.0f} s after the notice, in epoch {len(before[-1]) + 1} of its run")
        code = sweep.wait(timeout=900)
    finally:
        sweep.kill()
        cluster.run(1, "ray job stop --address http://127.0.0.1:8265 holder")
    assert code == 0, log.read_text()
    print(f"all done {time.monotonic() - start:.0f} s after the sweep's start")
    wait_until(lambda: cluster.alive() == len(cluster.hosts), 240)
    return Preempted(results, run, before, log.read_text())


def test_the_run_ends_well_and_no_epoch_is_missing(preempted):
    assert json.loads((preempted.run / "state.json").read_text())["state"] == "complete"
    epochs = [row["epoch"] for row in progress(preempted.run)]
    assert epochs == list(range(1, EPOCHS + 1))
    assert 0 < len(preempted.before[1]) < len(preempted.before[2]) < EPOCHS, "it was not taken away twice"


def test_the_sweep_says_why_it_begins_again(preempted):
    assert len(re.findall(r"its node was (?:lost|taken away); starting it again", preempted.said)) >= 2


def test_it_is_the_run_that_it_would_have_been_undisturbed(cluster, preempted):
    log = cluster.folder / "undisturbed.log"
    files = f"{preempted.run / 'config.json'} --study {cluster.folder / 'held.py'}"
    again = f"python -m learner_ray.train {files} --out {cluster.folder / 'undisturbed'}"
    assert cluster.open(1, f"cd ~/learner_ray && {again}", log).wait(600) == 0, log.read_text()
    assert "identical to the record, bit for bit" in log.read_text()
