"""Whatever dies, the study ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

ARGUMENTS = ["--profile", "laptop", "--folds", "2", "--trials", "1", "--epochs", "8", "--address", "local"]
ARGUMENTS += ["--set", "data.image_size=32", "--set", "data.frames=2", "--arms", "mse"]


def start(manifest: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "learner_ray.sweep", "lus", "--data", str(manifest), "--out", str(out)]
    return subprocess.Popen([*command, *ARGUMENTS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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
    assert undisturbed.wait(timeout=180) == 0
    disturbed = start(manifest, tmp_path / "b" / "lus")
    folder, process = a_running_run(tmp_path / "b" / "runs")
    os.kill(process, signal.SIGKILL)
    assert disturbed.wait(timeout=180) == 0
    assert int((folder / ".lock").read_text().split()[1]) != process
    ledgers = [pd.read_parquet(tmp_path / name / "lus" / "ledger.parquet") for name in "ab"]
    pd.testing.assert_frame_equal(*ledgers)
