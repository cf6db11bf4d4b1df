"""The report says how strong each arm's contrastive term was, and what its runs cost."""

import json

import pandas as pd
import pytest
from make_results import make_results

from analysis.results.load import load
from analysis.statistics.loss_strength import device_seconds, strengths
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.captions import footnote
from analysis.tables.loss_strength import loss_strength

RATIOS = {"mse": 0.0, "contrastive": 0.02, "weighted": 1.0}
SECONDS = {"mse": 10.0, "contrastive": 12.0, "weighted": 20.0, "majority": 0.0}


@pytest.fixture
def folder(tmp_path):
    folder = make_results(tmp_path / "lus")
    ledger = pd.read_parquet(folder / "ledger.parquet").drop_duplicates(["arm", "repeat", "fold", "seed"])
    finals = ledger[["arm", "repeat", "fold", "seed", "run_hash"]].assign(state="complete", error="")
    finals["gradient_ratio"] = finals["arm"].map(RATIOS) * (1 + finals["seed"])  # seeds 0, 1, 2
    finals["device_seconds"] = finals["arm"].map(SECONDS)
    finals.to_parquet(folder / "finals.parquet")
    info = json.loads((folder / "study.json").read_text())
    for arm in info["arms"]:
        if arm["name"] == "weighted":
            arm["edits"]["loss.weighting"] = "balanced"
    (folder / "study.json").write_text(json.dumps(info))
    return folder


def test_the_ratio_is_the_median_of_the_final_runs(folder):
    study = load([folder]).studies[0]
    found = strengths(study).set_index("arm")
    assert list(found.index) == ["contrastive", "weighted"], "an arm without a contrastive term has none"
    assert found["gradient_ratio"].tolist() == pytest.approx([0.04, 2.0])
    assert found[["low", "high"]].to_numpy().tolist() == [pytest.approx([0.02, 0.06]), [1.0, 3.0]]
    assert found["weighting"].tolist() == ["raw", "balanced"] and (found["runs"] == 15).all()
    assert found["times_reference"].tolist() == pytest.approx([1.2, 2.0])


def test_a_run_that_failed_gives_no_ratio(folder):
    finals = pd.read_parquet(folder / "finals.parquet")
    finals.loc[(finals["arm"] == "weighted") & (finals["seed"] == 2), "state"] = "failed"
    finals.to_parquet(folder / "finals.parquet")
    found = strengths(load([folder]).studies[0]).set_index("arm")
    assert found.loc["weighted", ["gradient_ratio", "high", "runs"]].tolist() == [1.5, 2.0, 10]


def test_the_table_and_the_footnote_of_the_headline_say_it(folder):
    item = study_statistics(load([folder]).studies[0], draws=50)
    table = loss_strength([item])
    ((_, panel),) = table.panels
    assert panel.iloc[1].tolist() == ["balanced", "2 (1 to 3)", "15", "20 s", "2 times"]
    assert table.data["run_hashes"].str.contains("contrastive-r0f0s0|weighted-r0f0s0").all()
    said = footnote(item.study, 50)
    assert "device time of a final run (median): MSE Loss 10 s, MSE + Contrastive Loss 12 s" in said
    assert "Majority class" not in said, "it trains nothing"


def test_of_a_study_without_ratios_nothing_is_said(tmp_path):
    study = load([make_results(tmp_path / "lus")]).studies[0]
    item = study_statistics(study, draws=50)
    assert loss_strength([item]) is None and device_seconds(study).empty
    assert "device time" not in footnote(study, 50)
