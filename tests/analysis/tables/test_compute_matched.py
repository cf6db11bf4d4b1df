"""Arms are compared with the reference at equal compute where the study has such arms."""

import json

import pandas as pd
import pytest
from make_results import make_results

from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.compute_matched import compute_matched, matched_arms


@pytest.fixture
def folder(tmp_path):
    """``contrastive`` is MSE with two views here, ``majority`` MSE trained twice as long."""
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    arms = {arm["name"]: arm for arm in info["arms"]}
    arms["contrastive"]["edits"] = {"loss.name": "mse", "loss.views": 2}
    arms["majority"] |= {"edits": {"loss.name": "mse"}, "epochs_factor": 2, "control": False}
    (folder / "study.json").write_text(json.dumps(info))
    return folder


def test_matched_arms_are_told_by_what_they_change(folder):
    assert matched_arms(load([folder]).studies[0]) == ["contrastive", "majority"]


def test_each_arm_is_compared_with_each_matched_reference(folder):
    item = study_statistics(load([folder]).studies[0], draws=200)
    table = compute_matched([item])
    found = table.data.set_index("matched_reference")
    assert set(table.data["arm"]) == {"weighted"} and list(found.index) == ["contrastive", "majority"]
    values = item.comparison.metrics.query("metric == 'macro_f1'").set_index("arm")["value"]
    for reference in found.index:
        assert found.loc[reference, "difference"] == pytest.approx(values["weighted"] - values[reference])
        assert found.loc[reference, "low"] <= found.loc[reference, "difference"]
    ((_, panel),) = table.panels
    assert panel.shape == (1, 4) and "MSE + Contrastive Loss" in panel.columns[0]


def test_an_unfinished_study_has_no_p(folder):
    ledger = pd.read_parquet(folder / "ledger.parquet")
    ledger[ledger["seed"] < 2].to_parquet(folder / "ledger.parquet")
    table = compute_matched([study_statistics(load([folder]).studies[0], draws=50)])
    assert "p_holm" not in table.data or table.data["p_holm"].isna().all()


def test_a_study_without_such_arms_has_no_table(tmp_path):
    study = load([make_results(tmp_path / "lus")]).studies[0]
    assert matched_arms(study) == [] and compute_matched([study_statistics(study, draws=50)]) is None
