"""The sweep that tests run, in this process or as a command, and its tables."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from learner_ray.run.folder import RunFolder

SMALL = ["--profile", "laptop", "--folds", "2", "--trials", "2", "--epochs", "3", "--max-concurrent", "1"]
SMALL += ["--set", "data.image_size=32", "--set", "data.frames=2", "--arms", "mse,weighted,majority"]
# So few pairs give many trials the same kappa, and then none is stopped.
SMALL += ["--set", "progression.selection_metric=log_loss"]

GUARD_S = 600.0
"""Only ends a test that would never end."""


def sweep(manifest: Path, out: Path, *more: str) -> int:
    """The command in this process."""
    from learner_ray.sweep import main

    return main(["lus", "--data", str(manifest), "--out", str(out), *SMALL, *more])


def sweep_command(
    data: Path | str, out: Path | str, *options: str, study: str = "lus", module: str = "learner_ray.sweep"
) -> list[str]:
    """The sweep as a command line of this Python."""
    return [sys.executable, "-m", module, study, "--data", str(data), "--out", str(out), *options]


def ledger(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "ledger.parquet")


def check_halving(out: Path) -> None:
    """Checks the trials of a sweep with two in each group, three epochs and a rung at epoch 2: the second one
    goes on if it is the better one there, and is stopped if not."""
    trials = pd.read_parquet(out / "trials.parquet")
    for _, group in trials.sort_values("trial").groupby(["arm", "repeat", "fold"]):
        runs = [RunFolder(out.parent / "runs" / name).progress() for name in group["run_hash"]]
        goes_on = runs[1][1]["selection_score"] > runs[0][1]["selection_score"]
        assert group["state"].tolist() == ["complete", "complete" if goes_on else "stopped"]
        assert group["epochs"].tolist() == [3, 3 if goes_on else 2]


def ended(root: Path) -> int:
    """Runs below a results root that have ended."""
    return len(list((root / "runs").glob("*/state.json")))


def wait_until(happened: Callable[[], object], *, while_runs: subprocess.Popen[str] | None = None) -> None:
    """Returns once something is so. A process that had to run meanwhile is named if it ended."""
    until = time.monotonic() + GUARD_S
    while not happened():
        assert while_runs is None or while_runs.poll() is None, "the command has ended"
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.02)
