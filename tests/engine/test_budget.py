"""A real sweep whose device time does not suffice: closed, complete, and the study of that many trials."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.small_sweep import GUARD_S, sweep_command

SIZE = ["--profile", "laptop", "--folds", "2", "--epochs", "8", "--max-concurrent", "2"]
SIZE += ["--set", "data.image_size=32", "--set", "data.frames=2", "--arms", "mse,weighted"]


@pytest.mark.long
@pytest.mark.ray
def test_a_sweep_with_too_little_time_is_the_one_with_fewer_trials(
    manifest: Path, tmp_path: Path, ray_address: str
) -> None:
    def sweep(folder: str, *options: str) -> str:
        where = ["--address", ray_address]
        command = sweep_command(
            manifest, tmp_path / folder, *SIZE, *where, *options, module="tests.formula_runs"
        )
        return subprocess.run(command, check=True, timeout=GUARD_S, capture_output=True, text=True).stdout

    # Epochs of formula runs count as 0.01 s each: about half of the trials fit.
    limited = ("--trials", "30", "--max-device-hours", "0.0011")
    assert "searches of all arms and folds close at" in sweep("limited/lus", *limited)
    study = json.loads((tmp_path / "limited/lus/study.json").read_text())
    assert 1 < study["trials"] < 30 == study["closed"]["planned_trials"]
    sweep("asked/lus", "--trials", str(study["trials"]))
    for table in ("trials", "ledger"):
        found = [
            pd.read_parquet(tmp_path / folder / f"{table}.parquet") for folder in ("limited/lus", "asked/lus")
        ]
        same = [frame.drop(columns=["device_seconds"], errors="ignore") for frame in found]
        pd.testing.assert_frame_equal(*same)
    assert "already complete" in sweep("limited/lus", *limited)
