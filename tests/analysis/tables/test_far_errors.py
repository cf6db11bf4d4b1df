"""Far errors are those of the ledger, counted by pair and arm, and lead to the scans of both visits."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from make_results import make_info, make_results

from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.far_errors import SHOWN, far_errors, far_errors_table

WORSE, SAME, BETTER = range(3)
PATIENT = "0123456789ab"


def written(folder: Path, rows: list[tuple[str, int, str, int, int]], **marks: object) -> Path:
    """A study of some rows: arm, seed, pair, true and predicted class; patients have three scans in two
    visits."""
    folder.mkdir()
    ledger = pd.DataFrame(rows, columns=["arm", "seed", "pair", "y_true", "y_pred"])
    ledger = ledger.assign(repeat=0, fold=0, patient=ledger["pair"].str[:12], score_earlier=100.0, **marks)
    ledger["run_hash"] = ledger["arm"] + ledger["seed"].astype(str)
    ledger["score_later"] = 100 + 40.0 * (ledger["y_true"] - 1)
    for c, name in enumerate(("p_worse", "p_same", "p_better")):
        ledger[name] = 0.2 + 0.4 * (ledger["y_pred"] == c) + 0.1 * ledger["seed"] * (ledger["y_pred"] == c)
    ledger.to_parquet(folder / "ledger.parquet")
    scans = [
        {"arm": "mse", "repeat": 0, "fold": 0, "seed": seed, "run_hash": f"mse{seed}", "patient": patient,
         "visit": visit, "scan": f"{patient}:{i}", "score": 100.0, "predicted": 90.0}
        for patient in ledger["patient"].unique() for seed in (0, 1)
        for i, visit in enumerate(["1", "1", "2"])
    ]  # fmt: skip
    pd.DataFrame(scans).to_parquet(folder / "scores.parquet")
    (folder / "study.json").write_text(json.dumps(make_info(ledger, folds=1, seeds=2)))
    return folder


def test_far_errors_are_counted_by_pair_and_arm(tmp_path: Path) -> None:
    far, near = f"{PATIENT}:1>2", "ba9876543210:1>2"
    rows = [
        ("mse", 0, far, WORSE, BETTER), ("mse", 1, far, WORSE, BETTER), ("mse", 0, near, BETTER, SAME),
        ("mse", 1, near, BETTER, WORSE), ("contrastive", 0, far, WORSE, BETTER),
        ("contrastive", 1, far, WORSE, SAME), ("contrastive", 0, near, BETTER, BETTER),
        ("contrastive", 1, near, BETTER, BETTER), ("majority", 0, far, WORSE, BETTER),
        ("majority", 1, far, WORSE, BETTER), ("majority", 0, near, BETTER, BETTER),
        ("majority", 1, near, BETTER, BETTER),
    ]  # fmt: skip
    data = far_errors(load([written(tmp_path / "lus", rows)]).studies[0])
    first, second, third = (row for _, row in data.iterrows())
    assert (first["pair"], first["arm"], first["runs_wrong"], first["runs_tested"]) == (far, "mse", 2, 2)
    assert (second["arm"], second["runs_wrong"], second["arms_wrong"]) == (
        "contrastive",
        1,
        "contrastive;mse",
    )
    assert (third["pair"], third["arms_wrong"], third["n_runs_wrong"]) == (near, "mse", 1)
    assert first["n_runs_wrong"] == 3 and first["n_runs_tested"] == 4, "of both arms, and of no control"
    assert (first["true"], first["predicted"], first["run_hashes"]) == ("worse", "better", "mse0;mse1")
    assert first["probability"] == pytest.approx(0.65), "the mean of 0.6 and 0.7"
    assert (first["scans_earlier"], first["scans_later"]) == ("1/1; 1/2", "2/1")


def test_rows_of_failed_runs_are_no_errors_of_the_arm(tmp_path: Path) -> None:
    rows = [(arm, seed, f"{PATIENT}:1>2", WORSE, BETTER) for arm in ("mse", "contrastive") for seed in (0, 1)]
    folder = written(tmp_path / "lus", rows, imputed=[True, True, False, False])
    assert set(far_errors(load([folder]).studies[0])["arm"]) == {"contrastive"}
    all_failed = written(tmp_path / "failed", rows, imputed=True)
    assert far_errors(load([all_failed]).studies[0]).empty


@pytest.mark.slow
def test_the_page_shows_the_first_and_the_file_has_all(tmp_path: Path) -> None:
    item = study_statistics(load([make_results(tmp_path / "lus")]).studies[0], 100)
    table = far_errors_table([item])
    assert table is not None
    ledger = item.study.ledger
    wrong = ledger[((ledger["y_true"] - ledger["y_pred"]).abs() == 2) & (ledger["arm"] != "majority")]
    assert table.data["runs_wrong"].sum() == len(wrong)
    pairs = wrong["pair"].nunique()
    assert len(table.panels[0][1]) == SHOWN < pairs
    assert f"{pairs - SHOWN} more pairs" in table.notes[0]
    runs = [int(cell.split(" of ")[0]) for cell in table.panels[0][1]["Runs that err"]]
    assert runs == sorted(runs, reverse=True)
    assert set(table.panels[0][1]["Scans"]) == {"–"}, "these pairs are not called after visits"
