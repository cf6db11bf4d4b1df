"""A study whose endpoint is decline: its own metrics and verdicts, and nothing that is of three classes."""

import json

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, make_results
from sklearn import metrics as sk

from analysis.building import build, write
from analysis.results.errors import ReportError
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.main_table import main_table


def two_classes(ledger):
    """What a sweep would have written, had it asked for decline."""
    y = {name: np.minimum(ledger[name], 1) for name in ("y_true", "y_pred")}
    return ledger.assign(**y, p_same=np.nan, p_better=np.nan, endpoint="decline")


def decline_study(folder, **changes):
    declared = {"endpoint": "decline", "primary_metric": "decline_balanced_accuracy", **changes}
    make_results(folder, **declared)
    change_ledger(folder, two_classes)
    return folder


def test_verdicts_are_of_balanced_accuracy_and_a_planted_arm_is_found(tmp_path):
    folder = decline_study(tmp_path / "lus")
    statistics = study_statistics(load([folder]).studies[0], draws=200)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    own = ledger[ledger["arm"] == "weighted"]
    table = main_table([statistics])
    row = table.data.set_index("arm").loc["weighted"]
    expected = sk.balanced_accuracy_score(own["y_true"], own["y_pred"])
    assert row["decline_balanced_accuracy_value"] == pytest.approx(expected)
    assert row["difference"] > 0 and row["verdict"] == "supported"
    by_run = own.groupby(["seed", "fold"])
    aucs = [sk.roc_auc_score(run["y_true"] == 0, run["p_worse"]) for _, run in by_run]
    assert row["decline_auc_value"] == pytest.approx(np.mean(aucs), abs=0.02)
    ((head, panel),) = table.panels
    assert "worse/not worse" in head and "QWK" not in panel and "AUC of decline [95 % CI]" in panel
    assert any("the endpoint is decline" in note for note in table.notes)


@pytest.mark.long
def test_the_whole_report_shows_two_classes(tmp_path):
    report = build(load([decline_study(tmp_path / "lus")]).studies, draws=200)
    write(report, tmp_path / "report")
    names = {table.name for table in report.tables}
    assert not {"ordinal", "decline", "change"} & names
    shown = pd.read_csv(tmp_path / "report" / "tables" / "metrics.csv")["metric"].unique()
    assert "decline_f1" in shown and not {"macro_f1", "qwk", "far_error_rate", "brier"} & {*shown}
    confusion = pd.read_csv(next((tmp_path / "report" / "figures").glob("confusion*.csv")))
    assert set(confusion["true"]) == {"worse", "not worse"}
    calibration = pd.read_csv(tmp_path / "report" / "tables" / "calibration.csv")
    assert set(calibration["class"]) == {"worse"}
    page = (tmp_path / "report" / "index.html").read_text()
    assert "and not worse otherwise" in page and "nan" not in page.lower().split()


def test_a_third_class_in_its_ledger_is_damage(tmp_path):
    folder = decline_study(tmp_path / "lus")
    change_ledger(folder, lambda ledger: ledger.assign(y_true=ledger["y_true"].replace(0, 2)))
    assert load([folder]).studies[0].spoilt


def test_an_endpoint_that_nobody_knows_is_refused(tmp_path):
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**info, "endpoint": "decay"}))
    with pytest.raises(ReportError, match="endpoint is 'decay'"):
        load([folder])
