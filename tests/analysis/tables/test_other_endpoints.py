"""Decline and change are read off a study of three classes, marked exploratory, and tell no verdict."""

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, fail_runs, make_results
from sklearn.metrics import roc_auc_score

from analysis.building import all_tables
from analysis.results.load import load
from analysis.statistics.other_endpoints import NO_CHANGE
from analysis.statistics.study_statistics import study_statistics


def tables_of(folder):
    statistics = study_statistics(load([folder]).studies[0], draws=200)
    return {table.name: table for table in all_tables([statistics])}


def value(table, arm, metric, column="value"):
    rows = table.data[(table.data["arm"] == arm) & (table.data["metric"] == metric)]
    return float(rows[column].iloc[0])


def blurred(ledger):
    """Predicted scores that miss the change by some noise."""
    noise = np.random.default_rng(0).normal(0, 20, len(ledger))
    return ledger.assign(pred_later=ledger["pred_later"] + noise)


def test_the_tables_show_values_and_differences_without_any_verdict(tmp_path):
    folder = make_results(tmp_path / "lus")
    change_ledger(folder, blurred)
    tables = tables_of(folder)
    decline, change = tables["decline"], tables["change"]
    ledger = pd.read_parquet(folder / "ledger.parquet")
    own = ledger[ledger["arm"] == "weighted"]
    hit = own["y_pred"] == 0
    worse = own["y_true"] == 0
    expected = (hit[worse].mean() + 1 - hit[~worse].mean()) / 2
    assert value(decline, "weighted", "decline_balanced_accuracy") == pytest.approx(expected)
    assert value(decline, "weighted", "decline_auc") == pytest.approx(
        roc_auc_score(worse, own["p_worse"]), abs=0.05
    )
    mae = (own["pred_later"] - own["pred_earlier"] - own["change"]).abs().mean()
    assert value(change, "weighted", "change_mae") == pytest.approx(mae)
    assert value(change, NO_CHANGE, "change_mae") == pytest.approx(own["change"].abs().mean())
    for table in (decline, change):
        assert table.data["exploratory"].all() and not {"p", "p_holm", "verdict"} & {*table.data}
        assert table.notes[0].startswith("Secondary and exploratory")
        _, panel = table.panels[0]
        assert "reference" in panel.loc["MSE Loss"].to_list()
        gap = value(table, "weighted", table.data["metric"].iloc[0], "difference")
        assert gap == pytest.approx(
            value(table, "weighted", table.data["metric"].iloc[0])
            - value(table, "mse", table.data["metric"].iloc[0])
        )


def test_arms_without_scores_and_arms_that_failed_predict_no_change(tmp_path):
    folder = make_results(tmp_path / "lus")
    change_ledger(folder, blurred)
    fail_runs(folder, arm="contrastive", fold=0)
    tables = tables_of(folder)
    known = {name: {*tables[name].data.dropna(subset=["value"])["arm"]} for name in ("change", "decline")}
    assert known["change"] == {"mse", "weighted", NO_CHANGE}
    assert known["decline"] == {"mse", "contrastive", "weighted", "majority"}
    assert {*tables["change"].data["arm"]} == known["decline"] | {NO_CHANGE}


@pytest.mark.long
def test_of_a_score_that_falls_with_health_the_change_is_turned_round(tmp_path):
    folder = make_results(tmp_path / "lus")

    def turned(ledger):
        return blurred(ledger).assign(change=-ledger["change"])

    before = tables_of(folder)
    change_ledger(folder, turned)
    wrong = tables_of(folder)["change"]
    assert value(wrong, "mse", "change_spearman") < -0.5
    info = load([folder]).studies[0].info
    info["cohort"]["score"]["healthier"] = "lower"
    other = make_results(tmp_path / "falling", cohort=info["cohort"])
    change_ledger(other, turned)
    right = tables_of(other)["change"]
    assert value(right, "mse", "change_spearman") > 0.5
    assert value(before["change"], "mse", "change_mae") == pytest.approx(0)


def test_an_old_ledger_without_predicted_scores_has_decline_alone(tmp_path):
    folder = make_results(tmp_path / "lus")
    change_ledger(folder, lambda ledger: ledger.drop(columns=["pred_earlier", "pred_later", "change"]))
    assert "decline" in (tables := tables_of(folder)) and "change" not in tables
