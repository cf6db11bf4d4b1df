"""Results folders and study files of commit 3590708 are read under the new names: none of their runs is
trained again, and none is added, since runs of this version compute other numbers.

``tests/data/results-3590708.tar.gz`` was written by that commit: a study of the package with
``--set objective.margin=0.3``, and one of ``own.py`` with a loss of its own and with
``--sampler grid --scheduler none``. The cohort lies beside them; the
encoders were left out.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.results import old_names as analysis_names
from learner_ray.cohort import load
from learner_ray.cohort.pseudonyms import former_pseudonym
from learner_ray.core.config import Config
from learner_ray.core.numerics import NUMERICS
from learner_ray.core.old_names import RENAMED
from learner_ray.run.folder import RunFolder
from learner_ray.run.old_names import columns_now
from learner_ray.run.user_code import import_file
from learner_ray.study.study_json import read_study
from learner_ray.sweep import main

KEPT = Path(__file__).parent / "data" / "results-3590708.tar.gz"
SIZES = ["--profile", "laptop", "--folds", "2"]
LUS = ["--trials", "2", "--epochs", "3", "--set", "data.image_size=32", "--set", "data.frames=2"]
LUS += ["--arms", "mse,weighted,majority", "--set", "progression.judged_by=log_loss"]
LUS += ["--set", "objective.margin=0.3"]
OWN = ["--trials", "3", "--sampler", "grid", "--pruner", "none"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    with tarfile.open(KEPT) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path


def runs(root: Path) -> set[str]:
    return {path.name for path in (root / "results" / "runs").iterdir() if not path.name.startswith(".")}


def test_every_run_keeps_its_name_under_the_new_names(kept: Path) -> None:
    import_file(kept / "own.py")
    for name in runs(kept):
        spec = RunFolder(kept / "results" / "runs" / name).read_spec()
        assert spec.hash == replace(spec, recorded_hash="").hash == name
        assert Config.from_dict(spec.config.to_dict()) == spec.config
        assert spec.config.resolved().to_dict() == spec.config.to_dict()


def test_what_a_study_says_is_read_under_the_new_names(kept: Path) -> None:
    study = read_study(kept / "results" / "lus" / "study.json")
    assert study is not None
    text = json.dumps(
        {key: study[key] for key in ("arms", "base", "set", "space", "pruner", "selection_metric")}
    )
    assert "objective" not in text and "model." not in text and "judged_by" not in text
    assert study["set"]["loss.margin"] == "0.3" and study["base"]["loss"]["margin"] == 0.3


@pytest.mark.ray
@pytest.mark.usefixtures("formula_runs")
@pytest.mark.parametrize(
    ("name", "options"), [("lus", LUS), pytest.param("own", OWN, marks=pytest.mark.long)]
)
def test_a_whole_study_is_tabled_again_and_is_not_extended(
    name: str, options: list[str], kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = "lus" if name == "lus" else str(kept / "own.py")
    before, out = runs(kept), kept / "results" / name
    ledger = pd.read_parquet(out / "ledger.parquet")
    command = [study, "--data", str(kept / "cohort" / "manifest.csv"), "--out", str(out), *SIZES, *options]
    assert main(command) == 0
    assert "All runs are already complete" in capsys.readouterr().out and runs(kept) == before
    now = pd.read_parquet(out / "ledger.parquet")
    cohort = load(kept / "cohort" / "manifest.csv", modality="lus")
    named = {former_pseudonym(patient): cohort.pseudonym(patient) for patient in cohort.patients}
    for former, pseudonym in named.items():
        ledger = ledger.replace({"patient": former}, pseudonym)
        ledger["pair"] = ledger["pair"].str.replace(former, pseudonym)
    keys = ["arm", "repeat", "fold", "seed", "pair"]
    pd.testing.assert_frame_equal(now[list(ledger)], ledger.sort_values(keys, ignore_index=True))
    trials = pd.read_parquet(out / "trials.parquet")
    assert trials["selection_score"].notna().all() and "config.encoder.shift_fraction" in trials
    files = contents(kept / "results")
    capsys.readouterr()
    assert main([*command, "--seeds", "2", "--extend"]) == 2
    said = capsys.readouterr().err
    assert "numerics 1" in said and f"numerics {NUMERICS}" in said and "learner-ray 0.1.0, code 35907" in said
    assert contents(kept / "results") == files, "nothing is lost, and nothing written"


def contents(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path: path.read_bytes() for path in files}


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_its_plan_says_that_nothing_would_be_trained(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["lus", "--data", str(kept / "cohort" / "manifest.csv"), "--out", str(kept / "results" / "lus")]
    before = contents(kept / "results")
    assert main([*command, *SIZES, *LUS, "--plan"]) == 0
    said = "The results are of numerics 1, and this version computes numerics "
    assert f"{said}{NUMERICS}" in capsys.readouterr().out and contents(kept / "results") == before


def test_analysis_translates_the_same_names(kept: Path) -> None:
    """It imports nothing of learner_ray, so it has a table of its own."""
    for name in ("lus", "own"):
        folder = kept / "results" / name
        ours, raw = read_study(folder / "study.json"), json.loads((folder / "study.json").read_text())
        theirs = analysis_names.translated_study(raw)
        assert ours is not None
        for key in ours.keys() - {
            "base",
            "hash",
            "numerics",
            "spaces",
            "starts",
        }:  # learner_ray adds what they lack
            assert theirs[key] == ours[key]
        columns = list(pd.read_parquet(folder / "trials.parquet"))
        assert analysis_names.translated_columns(columns) == columns_now(columns)
    assert {old: analysis_names.config_key(old) for old in RENAMED} == RENAMED
