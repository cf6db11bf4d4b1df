"""A package that is no part of this one brings a loss, a source, an importer, a metric and a pruner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis import report
from tests.outside.install import STUDY, install, write_clips
from tests.small_sweep import GUARD_S, ended, ledger, sweep_command, wait_until

LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print("ENDED", ended.code, *sorted(name for name in sys.modules if name.startswith("outside_lung")))
"""
SIZE = ["--profile", "laptop", "--folds", "2", "--trials", "4", "--epochs", "3", "--max-concurrent", "2"]


def loaded(environment: dict[str, str], *command: str) -> list[str]:
    """The exit code of a command, and the modules of the package that it has loaded."""
    line = [sys.executable, "-c", LOADED, *command]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.long
@pytest.mark.slow
def test_nothing_of_an_installed_package_is_loaded_before_a_name_asks_for_it(
    manifest: Path, tmp_path: Path
) -> None:
    environment, check = install(tmp_path / "site"), ["learner_ray.cohort", "check", "--modality", "lus"]
    assert loaded(environment, *check, str(manifest)) == ["0"]
    sweep = ["learner_ray.sweep", "lus", "--data", str(manifest)]
    assert loaded(environment, *sweep, "--pruner", "below_mean") == ["2"]
    assert loaded(environment, *sweep, "--arms", "best", "--pruner", "below_median") == [
        "2", "outside_lung", "outside_lung.pruner",
    ]  # fmt: skip
    folder = write_clips(manifest, tmp_path / "clips")
    assert loaded(environment, *check, str(folder)) == ["0", "outside_lung", "outside_lung.source"]
    bring = ["learner_ray.cli.main", "import", str(folder), "--out", str(tmp_path / "m.csv")]
    assert loaded(environment, *bring) == [
        "0", "outside_lung", "outside_lung.importer", "outside_lung.source",
    ]  # fmt: skip
    assert (tmp_path / "m.csv").read_text().count("\n") == manifest.read_text().count("\n")


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.slow
def test_what_a_package_brings_is_searched_killed_resumed_and_reported(
    manifest: Path, tmp_path: Path
) -> None:
    """On a Ray of its own; every run really trains."""
    environment, data = install(tmp_path / "site"), write_clips(manifest, tmp_path / "clips")

    def command(out: Path) -> list[str]:
        options = [*SIZE, "--pruner", "below_median", "--address", "local"]
        return sweep_command(data, out, *options, study=str(STUDY))

    undisturbed, out = (tmp_path / name / "outside" for name in ("undisturbed", "results"))
    whole = subprocess.run(
        command(undisturbed), env=environment, check=True, capture_output=True, text=True, timeout=GUARD_S
    )
    assert "sureness 0." in whole.stdout
    driver = subprocess.Popen(
        command(out), env=environment, stdout=subprocess.DEVNULL, start_new_session=True, text=True
    )
    wait_until(lambda: ended(out.parent) >= 7, while_runs=driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert ended(out.parent) < 20
    subprocess.run(command(out), env=environment, check=True, stdout=subprocess.DEVNULL, timeout=GUARD_S)
    pd.testing.assert_frame_equal(ledger(out), ledger(undisturbed))
    columns = ["arm", "fold", "trial", "run_hash", "state", "selection_score", "epochs"]
    columns += ["config.loss.power", "config.encoder.channels"]
    trials = [pd.read_parquet(folder / "trials.parquet")[columns] for folder in (out, undisturbed)]
    pd.testing.assert_frame_equal(*trials)
    assert (trials[0]["state"] == "stopped").any() and trials[0]["config.loss.power"].nunique() > 2
    assert set(trials[0]["config.encoder.channels"].dropna()) == {8, 16}

    study = json.loads((out / "study.json").read_text())
    assert study["pruner"] == "below_median [outside-lung==0.1]" and study["cohort"]["name"] == "rated clips"
    for arm, kind in (("spread", "loss"), ("volume", "encoder")):
        run = trials[0].loc[trials[0]["arm"] == arm, "run_hash"].iloc[0]
        source = json.loads((out.parent / "runs" / run / "config.json").read_text())["source"]
        brought = {kind: "outside-lung==0.1", "selection_metric": "outside-lung==0.1"}
        assert source["components"] == brought and source["format"] == "rated_clips"

    assert report.main([str(out), "--out", str(tmp_path / "report"), "--draws", "200"]) == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert (
        "MSE + spread" in page and "MSE, 3D encoder" in page and "mean probability of the true class" in page
    )
