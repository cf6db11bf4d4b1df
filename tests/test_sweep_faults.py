"""What a sweep ends with when runs fail, when its folder goes and when its data go."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from learner_ray.engine import run_plan
from learner_ray.engine.tuning import run_study
from learner_ray.losses.configs import ContrastiveConfig
from learner_ray.run.folder import RunFolder
from tests.formula_runs import FormulaRun, FormulaTrainable, use_formula_runs
from tests.small_sweep import GUARD_S, SMALL, ended, ledger, sweep, sweep_command, wait_until


class FailingRun(FormulaRun):
    """One arm's raises."""

    def advance(self) -> dict[str, Any] | None:
        loss = self.spec.config.loss
        if isinstance(loss, ContrastiveConfig) and loss.weighted:
            raise ValueError("planted")
        return super().advance()


class FailingTrainable(FormulaTrainable):
    def open(self, folder: RunFolder) -> FormulaRun:
        return FailingRun(folder)


def use(monkeypatch: pytest.MonkeyPatch, trainable: type[FormulaTrainable]) -> None:
    monkeypatch.setattr(run_plan, "run_study", run_study)
    use_formula_runs(trainable)


@pytest.mark.long
@pytest.mark.usefixtures("formula_runs")
def test_failed_runs_end_a_sweep_with_3_until_retry_has_mended_them(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "lus"
    options = ["--arms", "majority,weighted", "--trials", "0", "--epochs", "1", "--max-concurrent", "2"]
    use(monkeypatch, FailingTrainable)
    assert sweep(manifest, out, *options) == 3
    said = capsys.readouterr().out
    assert "Finished, but 2 of 4 runs failed or diverged:" in said
    assert said.count("weighted/r0-f0/final-s0: ValueError: planted") == 2, (
        "when it was tried again, and here"
    )
    use(monkeypatch, FormulaTrainable)
    assert sweep(manifest, out, *options) == 3, "nobody asked for it"
    assert "All runs are already complete." in capsys.readouterr().out
    assert sweep(manifest, out, *options, "--retry", "failed") == 0
    assert set(ledger(out)["arm"]) == {"majority", "weighted"}
    assert not list(out.parent.glob("runs/*/error.txt"))
    capsys.readouterr()
    assert sweep(manifest, out, *options, "--retry", "failed-trials") == 0
    said = capsys.readouterr().out
    assert said.index("what was suggested after them is searched anew") < said.index(
        "All runs are already complete."
    )


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("formula_runs")
def test_a_results_folder_removed_in_mid_run_is_named_and_nothing_is_left_in_its_place(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "lus"

    class Trainable(FormulaTrainable):
        def open(self, folder: RunFolder) -> FormulaRun:
            if len(list(folder.path.parent.glob("*/state.json"))) == 3:
                shutil.rmtree(out)
            return FormulaRun(folder)

    use(monkeypatch, Trainable)
    assert sweep(manifest, out) == 1
    error = capfd.readouterr().err
    assert f"error: {out} was removed, or its storage has gone." in error and "Traceback" not in error
    assert not out.exists() and ended(out.parent) >= 3
    use(monkeypatch, FormulaTrainable)
    assert sweep(manifest, out) == 0


@pytest.mark.long
def test_data_moved_away_in_mid_sweep_cost_nothing_once_they_are_back(
    manifest: Path, finished: Path, tmp_path: Path
) -> None:
    """With runs that really train, on a Ray of its own; the process that trains is killed, too."""
    data, away, out = tmp_path / "cohort", tmp_path / "away", tmp_path / "results" / "lus"
    shutil.copytree(manifest.parent, data)
    command = sweep_command(data / "manifest.csv", out, *SMALL, "--address", "local")
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def running() -> list[Path]:
        folders = [path.parent for path in out.parent.glob("runs/*/progress.jsonl")]
        return [folder for folder in folders if not (folder / "state.json").exists()]

    wait_until(lambda: ended(out.parent) >= 2 and running(), while_runs=driver)
    (run,) = running()
    data.rename(away)
    os.kill(int((run / ".lock").read_text().split()[1]), signal.SIGKILL)
    _, error = driver.communicate(timeout=GUARD_S)
    assert driver.returncode == 1
    assert f"error: {data / 'manifest.csv'} does not exist" in error and "Traceback" not in error
    assert "rerun the same command" in error
    assert not any('"failed"' in path.read_text() for path in out.parent.glob("runs/*/state.json"))
    away.rename(data)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=GUARD_S)
    pd.testing.assert_frame_equal(ledger(out), ledger(finished))
