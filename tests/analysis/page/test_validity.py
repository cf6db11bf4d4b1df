"""The validity checks of a report."""

import json

import pandas as pd
import pytest
from make_results import change_ledger, make_results

from analysis.page.validity import checks
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics


def test_validity_sees_a_patient_tested_in_two_folds(tmp_path):
    folder = make_results(tmp_path / "lus")
    status = {c.name: c.status for c in checks(study_statistics(load([folder]).studies[0], draws=100))}
    assert status["Test folds"] == "green"
    ledger = pd.read_parquet(folder / "ledger.parquet")
    first = ledger["pair"] == ledger["pair"].iloc[0]
    moved = ledger[first].assign(fold=ledger["fold"] + 1, pair="copy")
    pd.concat([ledger, moved]).to_parquet(folder / "ledger.parquet")
    status = {c.name: c.status for c in checks(study_statistics(load([folder]).studies[0], draws=100))}
    assert status["Test folds"] == "red"


@pytest.mark.parametrize(("allowed", "status"), [(False, "green"), (True, "amber"), (None, "not checked")])
def test_duplicate_scans_are_those_that_the_sweep_let_pass(tmp_path, allowed, status):
    """Seen: not checked, though study.json said that nothing was let pass."""
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    info |= {} if allowed is None else {"allow_duplicates": allowed}
    (folder / "study.json").write_text(json.dumps(info))
    statistics = study_statistics(load([folder]).studies[0], draws=100)
    assert {check.name: check.status for check in checks(statistics)}["Duplicate scans"] == status


@pytest.mark.parametrize("metric", ["accuracy", "class_mae"])
@pytest.mark.parametrize("better", [True, False])
def test_a_control_is_beaten_in_the_direction_of_the_metric(tmp_path, metric, better):
    """Seen: of errors, the arm with the most was the best, and a control with more had won."""
    folder = make_results(tmp_path / "lus", primary_metric=metric)
    info = json.loads((folder / "study.json").read_text())
    (control,) = (arm for arm in info["arms"] if arm["control"])
    control["edits"] = {"progression.input": "metadata"}
    (folder / "study.json").write_text(json.dumps(info))
    called = "y_true" if not better else "y_pred"  # a control that is always right, or one of the majority
    change_ledger(
        folder,
        lambda ledger: ledger.assign(
            y_pred=ledger["y_pred"].where(ledger["arm"] != control["name"], ledger[called])
        ),
    )
    statistics = study_statistics(load([folder]).studies[0], draws=100)
    status = {check.name: check.status for check in checks(statistics)}
    assert status["Metadata alone"] == ("green" if better else "red")
