"""``python -m learner_ray.check --files`` reads every file, encoders too."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from learner_ray.check import main
from learner_ray.cohort import Fold, save_splits, splits_hash
from learner_ray.core.numerics import NUMERICS
from learner_ray.run.external_files import PAIRS, external_key, external_table, write_external
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import Source
from tests.run.test_integrity import FINAL, OTHER, final_run, flip


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of one run, beside a run of another."""
    for seed, spec in enumerate((FINAL, OTHER)):
        final_run(tmp_path, spec, seed)
    folds = [Fold(0, 0, ("d", "e"), (("a",), ("b",), ("c",), ()))]
    folder = tmp_path / "lus"
    save_splits(folds, folder / "splits.json")
    keys = dict.fromkeys(("study", "cohort_hash", "trials", "folds", "repeats", "seeds", "arms", "space"), 1)
    (folder / "study.json").write_text(json.dumps({**keys, "split_hash": splits_hash(folds)}))
    pd.DataFrame({"run_hash": [FINAL.hash]}).to_parquet(folder / "ledger.parquet")
    return folder


def test_whole_results_are_said_to_be_whole(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--files", str(study)]) == main(["--files", str(study.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{n} runs looked at: all files are as written" for n in (1, 2)]


def test_an_encoder_of_the_same_size_is_told_apart(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(study.parent / "runs" / OTHER.hash / "encoder.pt")
    assert main(["--files", str(study)]) == 0, "it is no run of this study"
    assert main(["--files", str(study.parent)]) == 1
    said = f"{OTHER.hash}: encoder.pt is not the one that this run wrote"
    assert said in capsys.readouterr().out


def test_predictions_of_an_external_cohort_are_looked_at_too(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, source = RunFolder(study.parent / "runs" / FINAL.hash), Source(path="x", cohort_hash="c")
    write_external(folder, source, FINAL.hash, {PAIRS: pd.DataFrame({"pair": ["a"]})})
    assert main(["--files", str(study)]) == 0
    path = external_table(folder, external_key(source), PAIRS)
    flip(path)
    assert main(["--files", str(study)]) == 1
    assert f"{path.name} is not the one" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["study.json", "splits.json"])
def test_a_studys_own_files_are_looked_at_too(
    study: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / name).write_text("[]")
    assert main(["--files", str(study)]) == 1
    assert str(study / name) in capsys.readouterr().out


@pytest.mark.parametrize("numerics", [NUMERICS, NUMERICS - 1])
def test_damage_that_this_version_does_not_mend_is_said(
    study: Path, numerics: int, capsys: pytest.CaptureFixture[str]
) -> None:
    info = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps({**info, "numerics": numerics}))
    flip(study.parent / "runs" / FINAL.hash / "encoder.pt")
    assert main(["--files", str(study)]) == 1
    said = "with the version that made them" in capsys.readouterr().out
    assert said == (numerics != NUMERICS)


def test_what_holds_no_results_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--files", str(tmp_path)]) == 2
    assert "give a results folder" in capsys.readouterr().err
