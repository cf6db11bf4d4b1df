"""What comes home from a cluster: the study and its own runs, without models unless asked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from learner_ray.core.errors import UserError
from learner_ray.run.integrity import ELSEWHERE
from learner_ray.study.archive import pack, unpack

FILES = ("config.json", "state.json", "encoder.pt", ".lock")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A results folder with a trial and a final run, beside a run of another study."""
    out = tmp_path / "there" / "lus"
    for folder in (out / "tensorboard", out / ".tune"):
        folder.mkdir(parents=True)
        (folder / "events").write_text("")
    (out / "study.json").write_text("{}")
    pd.DataFrame({"run_hash": ["trial"]}).to_parquet(out / "trials.parquet")
    pd.DataFrame({"run_hash": ["final", "final"]}).to_parquet(out / "ledger.parquet")
    for run in ("trial", "final", "another"):
        (out.parent / "runs" / run).mkdir(parents=True)
        for name in FILES:
            (out.parent / "runs" / run / name).write_text(run)
    return out


def brought(out: Path, models: bool) -> set[str]:
    archive, home = out.parents[1] / "home.tar.gz", out.parents[1] / "here"
    pack(out, archive, models=models)
    assert archive.stat().st_mode & 0o077 == 0, "scores of patients, for its owner alone"
    unpack(archive, home)
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    return {name for name in found if not name.endswith(ELSEWHERE)}


def test_the_study_and_its_own_runs_come_without_models(out: Path) -> None:
    study = {
        f"lus/{name}" for name in ("study.json", "trials.parquet", "ledger.parquet", "tensorboard/events")
    }
    runs = {f"runs/{run}/{name}" for run in ("trial", "final") for name in ("config.json", "state.json")}
    assert brought(out, models=False) == study | runs


def test_models_come_when_asked(out: Path) -> None:
    assert brought(out, models=True) >= {"runs/trial/encoder.pt", "runs/final/encoder.pt"}


def test_what_comes_home_lies_over_what_came_before(out: Path) -> None:
    brought(out, models=False)
    (out.parent / "runs" / "trial" / "state.json").write_text("newer")
    brought(out, models=False)
    assert (out.parents[1] / "here" / "runs" / "trial" / "state.json").read_text() == "newer"


def test_a_folder_without_a_study_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study"):
        pack(tmp_path, tmp_path / "home.tar.gz")
