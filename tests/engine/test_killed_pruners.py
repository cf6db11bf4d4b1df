"""A sweep that is killed with SIGKILL and resumed prunes the trials that an undisturbed one prunes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.formula_runs import hold, release
from tests.outside.install import install
from tests.small_sweep import GUARD_S, ended, sweep_command, wait_until

SIZE = ["--profile", "laptop", "--folds", "2", "--trials", "9", "--epochs", "8", "--max-concurrent", "2"]
SIZE += ["--set", "data.image_size=32", "--set", "data.frames=2", "--arms", "mse,weighted"]


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["halving", "optuna.median", "optuna.hyperband", "below_median"])
def test_a_killed_sweep_prunes_what_an_undisturbed_one_prunes(
    manifest: Path, tmp_path: Path, ray_address: str, pruner: str
) -> None:
    environment = install(tmp_path / "site")
    undisturbed, out = (tmp_path / name / "lus" for name in ("undisturbed", "results"))

    def command(folder: Path) -> list[str]:
        options = [*SIZE, "--pruner", pruner, "--address", ray_address]
        return sweep_command(manifest, folder, *options, module="tests.formula_runs")

    quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL}
    subprocess.run(command(undisturbed), check=True, timeout=GUARD_S, **quiet)
    hold(out.parent, ended=13)
    driver = subprocess.Popen(command(out), start_new_session=True, text=True, **quiet)
    wait_until(lambda: ended(out.parent) >= 13, while_runs=driver)
    driver.kill()
    driver.wait()
    release(out.parent)
    subprocess.run(command(out), check=True, timeout=GUARD_S, **quiet)
    columns = ["arm", "fold", "trial", "run_hash", "state", "selection_score", "epochs"]
    trials = [pd.read_parquet(folder / "trials.parquet")[columns] for folder in (out, undisturbed)]
    pd.testing.assert_frame_equal(*trials)
    assert (trials[0]["state"] == "stopped").sum() > 2 and len(trials[0]) == 2 * 2 * 9
