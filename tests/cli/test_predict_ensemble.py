"""The final runs of an arm predict together what they predict alone, calibrated, with sets and warnings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from learner_ray.cli.predict import main
from tests.small_sweep import ledger

pytestmark = pytest.mark.ray

PROBABILITIES = ["p_worse", "p_same", "p_better"]


@pytest.fixture(scope="module")
def new_manifest(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients' scans, without scores."""
    folder = tmp_path_factory.mktemp("new")
    table = pd.read_csv(manifest)
    table = table[table["patient"].isin(["p0", "p1", "p2"])].drop(columns="score")
    for clip in table["path"]:
        shutil.copy(manifest.parent / clip, folder)
    table.to_csv(folder / "new.csv", index=False)
    return folder / "new.csv"


def predicted(where: Path, out: Path, *arguments: str | Path) -> pd.DataFrame:
    assert main([str(where), *map(str, arguments), "--out", str(out)]) == 0
    return pd.read_csv(out)


def test_an_ensemble_is_the_mean_of_its_runs_and_calibration_keeps_the_order(
    finished: Path, new_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "together.csv"
    together = predicted(finished, out, "--manifest", new_manifest, "--arm", "mse")
    said = capsys.readouterr()
    rows = ledger(finished).query("arm == 'mse'")
    runs = rows["run_hash"].unique()
    assert f"{len(runs)} final runs" in said.err and "calibrated on 12 patients" in said.err
    alone = [
        predicted(finished.parent / "runs" / run, tmp_path / "one.csv", "--manifest", new_manifest)
        for run in runs
    ]
    scores = np.stack([table["predicted"] for table in alone])
    np.testing.assert_allclose(together["predicted"], scores.mean(0))
    np.testing.assert_allclose(together["spread"], scores.std(0, ddof=1))
    beside = json.loads(out.with_suffix(".json").read_text())
    assert {run["run_hash"] for run in beside["runs"]} == set(runs) and not out.with_suffix(".npy").exists()
    shares = np.array([beside["calibration"]["shares"][name] for name in ("worse", "same", "better")])
    changes = together.dropna(subset="p_worse")
    raw = np.mean([table.loc[changes.index, PROBABILITIES] for table in alone], axis=0)
    scaled = shares * (raw / shares) ** beside["calibration"]["exponent"]
    np.testing.assert_allclose(changes[PROBABILITIES], scaled / scaled.sum(1, keepdims=True), rtol=1e-6)
    for (_, row), p in zip(changes.iterrows(), changes[PROBABILITIES].to_numpy(), strict=True):
        assert ("worse", "same", "better")[p.argmax()] in row["set"].split()
    assert changes["decided"].isin(["worse", "same", "better"]).all()
    assert together["share_as_far"].between(1 / 13, 1).all() and together["outside"].isna().all()


def test_scans_on_the_command_line_are_predicted_too_and_sets_grow_with_the_level(
    finished: Path, new_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = sorted(new_manifest.parent.glob("p1-*.mp4"))[:3]
    low, high = (
        predicted(finished, tmp_path / "l.csv", *clips, "--arm", "weighted", "--level", level)
        for level in ("0.5", "0.95")
    )
    assert low["since"].isna().tolist() == [True, False, False]
    assert (low["set"].dropna().str.len() <= high["set"].dropna().str.len()).all()
    assert (high["set"].dropna() == "worse same better").all()
    assert "needs 19 patients to compare with, and there are 12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one with --arm: mse (the reference), weighted"),
        (["--arm", "majority"], "no complete final run of that name with an encoder"),
        (["--arm", "mse", "--level", "90"], "must be a share between 0 and 1"),
    ],
)
def test_an_arm_is_asked_for_and_must_be_there(
    arguments: list[str], words: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([str(finished), "scan.mp4", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2 and words in capsys.readouterr().err


def test_options_of_a_study_are_refused_with_one_run(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished.parent / "runs" / ledger(finished)["run_hash"].iloc[0]
    assert main([str(run), "scan.mp4", "--level", "0.8"]) == 2
    assert "are of a study" in capsys.readouterr().err
