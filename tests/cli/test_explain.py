"""Which run is explained, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from learner_ray.cli.explain import main


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with two final runs with an encoder, of which ``best`` is the better one, a failed run and a
    control. No run can be explained: each is named in an error."""
    folder = tmp_path / "results" / "lus"
    folder.mkdir(parents=True)
    keys = ("study", "cohort_hash", "split_hash", "trials", "folds", "repeats", "seeds", "arms", "space")
    (folder / "study.json").write_text(json.dumps(dict.fromkeys(keys, 1)))
    distances = {"a": 0.1, "best": 0.2, "failed": np.nan, "control": np.nan}
    ledger = pd.DataFrame({"run_hash": [*distances], "distance": [*distances.values()]})
    ledger.assign(imputed=ledger["run_hash"] == "failed").to_parquet(folder / "ledger.parquet")
    for run, score in {"a": 0.4, "best": 0.6, "failed": 0.9, "control": 0.9}.items():
        of = folder.parent / "runs" / run
        of.mkdir(parents=True)
        (of / "metrics.json").write_text(json.dumps({"macro_f1": score}))
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_the_best_final_run_with_an_encoder_is_explained(study: Path, capsys) -> None:
    assert f"{study.parent}/runs/best: there is no config.json" in refused(capsys, str(study))


def test_a_study_may_be_named_from_within(study: Path, capsys, monkeypatch) -> None:
    """Seen: runs were looked for in the study."""
    monkeypatch.chdir(study)
    assert "results/runs/best: there is no config.json" in refused(capsys, ".")
    (study / "explanations").mkdir()
    monkeypatch.chdir(study / "explanations")
    assert "results/runs/best: there is no config.json" in refused(capsys, "..")


def test_a_ledger_of_before_failed_runs_were_counted_is_read(study: Path, capsys) -> None:
    """Seen: a traceback."""
    path = study / "ledger.parquet"
    pd.read_parquet(path).drop(columns="imputed").to_parquet(path)
    assert "runs/best" in refused(capsys, str(study))
    pd.read_parquet(path).iloc[:0].to_parquet(path)
    assert "no complete final run with an encoder" in refused(capsys, str(study))


def test_a_damaged_ledger_is_named(study: Path, capsys) -> None:
    """Seen: a traceback."""
    (study / "ledger.parquet").write_bytes(b"PAR1")
    assert "ledger.parquet is damaged" in refused(capsys, str(study))


def test_a_run_that_is_none_of_the_study_is_refused(study: Path, capsys) -> None:
    for run in ("control", "failed", "elsewhere"):
        assert f"--run {run} is no final run" in refused(capsys, str(study), "--run", run)
