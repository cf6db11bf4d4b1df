"""The flow of scans is what study.json counted; what an older version did not count is not recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from make_results import lose_runs, make_results

from analysis.results.flow import Flow, flow_table, flows_of
from analysis.results.load import load
from analysis.results.study import StudyResults

COUNTED = {
    "listed": {"scans": 300, "patients": 70}, "left_out": {"no score": 8},
    "with_score": {"scans": 292, "visits": 200, "patients": 66}, "unreadable": {"is empty": 2, "is black": 1},
    "readable": {"scans": 289, "visits": 198, "patients": 65}, "one_visit": {"visits": 5, "patients": 5},
    "no_neighbour": {"visits": 2, "patients": 0}, "paired": {"scans": 280, "visits": 191, "patients": 60},
    "class_counts": [30, 40, 25],
}  # fmt: skip
"""Of a study of 60 patients; the pairs are those of the ledger."""


def study(folder: Path, **changes: Any) -> StudyResults:
    if not folder.exists():
        make_results(folder)
    info = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**info, **changes}))
    return load([folder]).studies[0]


def steps(flow: Flow) -> dict[str, Any]:
    return {step.kept.what: dict(step.kept.numbers) for step in flow.steps}


def reasons(flow: Flow) -> list[Any]:
    counted = [step.left_out for step in flow.steps[:-1]]
    return [None if each is None else {c.what: dict(c.numbers) for c in each} for each in counted]


def test_the_counts_of_the_study_are_the_flow(tmp_path: Path) -> None:
    pairs = len(study(tmp_path / "lus").ledger["pair"].unique())
    (flow,) = flows_of(study(tmp_path / "lus", flow={**COUNTED, "pairs": pairs + 3}))
    assert steps(flow)["Listed or found"] == {"scans": 300, "patients": 70}
    assert steps(flow)["Analysed"]["pairs"] == pairs and steps(flow)["Analysed"]["patients"] == 60
    assert reasons(flow) == [
        {"no score": {"scans": 8}},
        {"is empty": {"scans": 2}, "is black": {"scans": 1}},
        {"one visit only": {"visits": 5, "patients": 5},
         "neighbouring visit cannot be read": {"visits": 2, "patients": 0}},
        {"final runs missing": {"pairs": 3}},
    ]  # fmt: skip
    assert sum(fold.numbers["pairs"] for fold in flow.folds) == pairs, "one repeat tests every pair once"


@pytest.mark.parametrize("left_out", [[], ["row 3: a.mp4 cannot be read"], None])
def test_what_an_older_version_did_not_count_is_not_recorded(tmp_path: Path, left_out: list[str] | None):
    (flow,) = flows_of(study(tmp_path / "lus", left_out=left_out))
    assert steps(flow)["Listed or found"] == {} and reasons(flow)[0] is None
    assert steps(flow)["With a score"]["patients"] == 60
    if left_out == []:
        assert reasons(flow)[1:] == [{}, {}, {}], "nothing was left out, so all could be read"
        assert steps(flow)["Readable"] == steps(flow)["With a score"]
    else:
        assert steps(flow)["Readable"] == {} and reasons(flow)[1:] == [None, None, None]
    assert steps(flow)["Analysed"]["pairs"] > 60


def test_the_external_cohort_has_a_flow_of_its_own(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    pd.read_parquet(folder / "ledger.parquet").to_parquet(folder / "external.parquet")
    external = {"name": "elsewhere", "scans": 40, "visits": 40, "patients": 9, "bad_scans": 2}
    own, there = flows_of(study(folder, external=external))
    assert not own.external and there.external and there.cohort == "elsewhere"
    assert reasons(there)[1] == {"reason not recorded": {"scans": 2}}
    assert steps(there)["Analysed"] == steps(own)["Analysed"]


def test_pairs_that_not_every_arm_has_predicted_are_left_out(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    lose_runs(folder, arm="mse", fold=0)
    (flow,) = flows_of(study(folder))
    missed = reasons(flow)[3]["final runs missing"]["pairs"]
    assert missed == steps(flow)["Progression pairs"]["pairs"] - steps(flow)["Analysed"]["pairs"] > 0


def test_the_table_has_every_number_and_damage_counts_as_not_recorded(tmp_path: Path) -> None:
    odd = {**COUNTED, "pairs": "many", "unreadable": {"is empty": -1}, "with_score": [1]}
    odd_study = study(tmp_path / "lus", flow=odd)
    table = flow_table(odd_study, flows_of(odd_study))
    kept = table[table["part"] == "kept"].set_index("step")
    assert kept["scans"]["Listed or found"] == 300 and pd.isna(kept["scans"]["With a score"])
    assert pd.isna(kept["pairs"]["Progression pairs"]) and kept["pairs"]["Analysed"] > 60
    assert pd.isna(table.loc[table["reason"] == "is empty", "scans"]).all()
