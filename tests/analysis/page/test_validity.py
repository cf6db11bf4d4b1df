"""The validity checks of a report."""

import json

import pandas as pd
import pytest
from make_results import make_results

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
