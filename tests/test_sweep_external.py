"""A sweep with an external cohort: refused, tested, resumed, and tested later, by the command."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from learner_ray.engine import external_runs
from learner_ray.run.external_files import PAIRS, SCORES, external_key, write_external
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import Source
from tests.small_cohort import write_cohort
from tests.small_sweep import sweep

ONE_FIT = ["--trials", "0", "--arms", "mse,majority"]
COUNT = "evaluations"


def by_formula(folder: RunFolder, source: Source, device: str) -> None:
    """A run tested without its encoder, which a formula has not; the folder above counts how often."""
    from learner_ray.imaging.source import open_cohort

    pairs = pd.read_parquet(folder.path / "predictions.parquet")
    cohort = open_cohort(source)
    theirs = cohort.pairs().assign(patient=lambda t: t["patient"].map(cohort.pseudonym))
    made = theirs[["patient", "pair", "site", "device", "interval_days"]].reset_index(drop=True)
    rest = pairs.drop(columns=list(made)).iloc[[0] * len(made)].reset_index(drop=True)
    table = made.join(rest)[list(pairs)].assign(y_true=theirs["y"].to_numpy())
    with open(folder.path.parent / COUNT, "a") as stream:
        stream.write(f"{os.getpid()} {folder.path.name} {external_key(source)}\n")
    scores = folder.path / "scores.parquet"
    tables = {PAIRS: table}
    if scores.exists():
        tables[SCORES] = pd.read_parquet(scores).assign(patient=made["patient"][0])
    write_external(folder, source, folder.path.name, tables)


def fails_or_dies(folder: RunFolder, source: Source, device: str) -> None:
    """One fold's test raises each time, the other's process dies once."""
    if "p0" in folder.read_spec().patients.test:
        raise RuntimeError("planted")
    mark = folder.path / ".died"
    if not mark.exists():
        mark.touch()
        os._exit(1)
    by_formula(folder, source, device)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("other") / "cohort", patients=6, seed=5, ids="q")


@pytest.mark.ray
def test_an_external_cohort_that_does_not_go_with_the_study_is_a_mistake(
    manifest: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lus"
    assert sweep(manifest, out, "--test-data", str(manifest)) == 2
    assert "12 patients are in the study's cohort, too" in capsys.readouterr().err
    copied = tmp_path / "copied.csv"
    header, *lines = manifest.read_text().splitlines()
    renamed = [f"{manifest.parent}/{line}".replace(",p", ",q") for line in lines]
    copied.write_text("\n".join([header, *renamed]))
    assert sweep(manifest, out, "--test-data", str(copied)) == 2
    assert "48 scans are in the study's cohort, too" in capsys.readouterr().err
    assert sweep(manifest, out, "--test-data", str(tmp_path / "none")) == 2
    assert not out.exists()


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("formula_runs")
def test_a_complete_study_is_tested_later_each_run_once_and_trains_nothing(
    manifest: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, more = tmp_path / "lus", ["--arms", "mse", "--test-data", str(other)]
    assert sweep(manifest, out, *ONE_FIT, "--arms", "mse") == 0
    before = {path: path.read_bytes() for path in (*tmp_path.glob("runs/*/*"), out / "ledger.parquet")}
    monkeypatch.setattr(external_runs, "predict_externally", fails_or_dies)
    assert sweep(manifest, out, *ONE_FIT, *more) == 3
    said = capsys.readouterr().out
    assert "1 final run could not be tested there" in said and "RuntimeError: planted" in said
    table = pd.read_parquet(out / "external.parquet")
    assert table["run_hash"].nunique() == 1 and len(pd.read_parquet(out / "external-scores.parquet"))
    monkeypatch.setattr(external_runs, "predict_externally", by_formula)
    assert sweep(manifest, out, *ONE_FIT, *more) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert pd.read_parquet(out / "external.parquet").groupby("run_hash").size().nunique() == 1
    assert sweep(manifest, out, *ONE_FIT, *more, "--seeds", "2", "--extend") == 0
    assert pd.read_parquet(out / "external.parquet")["run_hash"].nunique() == 4
    counted = [line.split()[1] for line in (tmp_path / "runs" / COUNT).read_text().splitlines()]
    assert len(counted) == len(set(counted)) == 4, "each final run is tested once"
    # Seen: a third seed was recorded as an amendment, and only then the second external cohort refused.
    third = write_cohort(tmp_path / "third", patients=6, seed=6, ids="r")
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    grown = ["--arms", "mse", "--test-data", str(third), "--seeds", "3", "--extend"]
    assert sweep(manifest, out, *ONE_FIT, *grown) == 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("formula_runs")
def test_a_signal_keeps_what_was_tested_and_the_same_command_goes_on(
    manifest: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, more = tmp_path / "lus", ["--test-data", str(other)]
    taken = external_runs._Pool._tested
    monkeypatch.setattr(external_runs, "predict_externally", by_formula)

    def interrupted(*args):
        taken(*args)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(external_runs._Pool, "_tested", interrupted)
        assert sweep(manifest, out, *ONE_FIT, *more) == 130
    assert pd.read_parquet(out / "external.parquet")["run_hash"].nunique() == 1
    assert sweep(manifest, out, *ONE_FIT, *more) == 0
    assert pd.read_parquet(out / "external.parquet")["run_hash"].nunique() == 4
