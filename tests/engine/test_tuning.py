"""Whatever dies, the study ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.small_cohort import sweep_command

ARGUMENTS = ["--profile", "laptop", "--folds", "2", "--trials", "1", "--epochs", "8", "--address", "local"]
ARGUMENTS += ["--set", "data.image_size=32", "--set", "data.frames=2", "--arms", "mse"]


def start(manifest: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        sweep_command(manifest, out, *ARGUMENTS), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def a_running_run(runs: Path) -> tuple[Path, int]:
    """The folder and process of a run that has an epoch behind it and more before it."""
    while True:
        for progress in runs.glob("*/progress.jsonl"):
            if not (progress.parent / "state.json").exists():
                return progress.parent, int((progress.parent / ".lock").read_text().split()[1])
        time.sleep(0.05)


@pytest.mark.slow
def test_a_run_whose_process_is_killed_goes_on_in_another(manifest: Path, tmp_path: Path) -> None:
    undisturbed = start(manifest, tmp_path / "a" / "lus")
    assert undisturbed.wait(timeout=600) == 0
    disturbed = start(manifest, tmp_path / "b" / "lus")
    folder, process = a_running_run(tmp_path / "b" / "runs")
    os.kill(process, signal.SIGKILL)
    assert disturbed.wait(timeout=600) == 0
    assert int((folder / ".lock").read_text().split()[1]) != process
    ledgers = [pd.read_parquet(tmp_path / name / "lus" / "ledger.parquet") for name in "ab"]
    pd.testing.assert_frame_equal(*ledgers)


GREEDY = """
import dataclasses, time
import torch
import search_spaces.lus as lus
from learner_ray.objectives import Objective
from learner_ray.study.study import Arm

class Greedy(Objective):
    name = "greedy"
    kept = []
    def loss(self, batch):
        while True:
            self.kept.append(torch.ones(2**26))
            time.sleep(0.05)

arms = (*lus.STUDY.arms, Arm(name="greedy", label="Greedy", edits={"objective.name": "greedy"}))
STUDY = dataclasses.replace(lus.STUDY, name="greedy", arms=arms, objectives=(Greedy,))
"""


@pytest.mark.slow
def test_a_run_that_takes_all_memory_fails_and_no_other(manifest: Path, tmp_path: Path) -> None:
    """By Ray's own watch over the memory, whose limit is set a little above what is taken now."""
    (tmp_path / "greedy.py").write_text(GREEDY)
    out = tmp_path / "results" / "greedy"
    options = [*ARGUMENTS[:-1], "greedy,majority", "--max-concurrent", "1"]
    command = sweep_command(manifest, out, *options, study=str(tmp_path / "greedy.py"))
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(memory[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    limit = {"RAY_memory_usage_threshold": f"{(total - free + 4 * 2**20) / total:.3f}"}
    sweep = subprocess.run(
        command, env=os.environ | limit, capture_output=True, text=True, timeout=600, check=False
    )
    assert sweep.returncode == 0 and "Traceback" not in sweep.stderr, sweep.stderr
    reason = "its process died (out of memory, or killed)"
    assert sweep.stdout.count(f"{reason}; starting it again") == 2
    assert sweep.stdout.count(f"failed    {reason}, 2 times") == 2
    assert set(pd.read_parquet(out / "ledger.parquet")["arm"]) == {"majority"}
