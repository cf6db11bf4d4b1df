"""The external cohort has a table and sentences of its own, and changes no other number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_results import ARMS, CONTROLS, make_ledger, make_results

from analysis.building import all_tables
from analysis.page.page import Report, html
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.render import markdown

DRAWS = 300


def add_external(folder: Path, **facts: object) -> pd.DataFrame:
    """Every final run of a study predicts 20 other patients; weighted is good there, too."""
    own = make_ledger({**ARMS, **CONTROLS}, patients=20, folds=1, seeds=15, seed=9)
    place = pd.DataFrame({"fold": np.arange(15) // 3, "seed": np.arange(15) % 3})
    rows = own.drop(columns="fold").assign(patient="x" + own["patient"], pair="x" + own["pair"])
    rows = rows.drop(columns="seed").join(place, on=own["seed"])
    rows["run_hash"] = [
        f"{a}-r0f{f}s{s}" for a, f, s in zip(rows["arm"], rows["fold"], rows["seed"], strict=True)
    ]
    rows.to_parquet(folder / "external.parquet")
    info = json.loads((folder / "study.json").read_text())
    external = {
        "name": "elsewhere",
        "cohort_hash": "ab" * 32,
        "phantom": False,
        "added": "2026-02-03",
        **facts,
    }
    (folder / "study.json").write_text(json.dumps({**info, "external": external}))
    return rows


def reported(folder: Path) -> tuple[dict[str, str], dict[str, pd.DataFrame], str]:
    """The tables as text and as numbers by name, and the page without figures."""
    statistics = [study_statistics(study, DRAWS) for study in load([folder]).studies]
    tables = all_tables(statistics)
    page = html(Report(statistics=statistics, tables=tables, drawings=[]))
    return {t.name: markdown(t) for t in tables}, {t.name: t.data for t in tables}, page


@pytest.mark.long
def test_an_external_cohort_adds_a_table_and_sentences_and_changes_no_other(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    before, _, _ = reported(folder)
    assert "external" not in before
    rows = add_external(folder)
    after, data, page = reported(folder)
    assert {name: text for name, text in after.items() if name != "external"} == before
    there = data["external"].set_index("arm")
    of = rows[rows["arm"] == "mse"]
    f1 = [2 * ((of["y_true"] == c) & (of["y_pred"] == c)).sum() for c in range(3)]
    f1 = [n / ((of["y_true"] == c).sum() + (of["y_pred"] == c).sum()) for c, n in enumerate(f1)]
    assert there.loc["mse", "external_value"] == pytest.approx(np.mean(f1), abs=1e-12)
    row = there.loc["weighted"]
    assert row["external_difference_difference"] == pytest.approx(
        row["external_value"] - there["external_value"]["mse"]
    )
    assert (
        row["external_difference_low"]
        < row["external_difference_difference"]
        < row["external_difference_high"]
    )
    assert "on the external cohort elsewhere (20 patients," in page
    assert "the same direction as the difference in cross-validation" in page
    assert "No verdict is given there" in after["external"] and "2026-02-03" in after["external"]


@pytest.mark.long
@pytest.mark.parametrize("control_there", [True, False])
def test_what_an_arm_adds_to_the_earlier_score_there_stands_below(
    tmp_path: Path, control_there: bool
) -> None:
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    for arm in info["arms"]:  # the control that is there, as the one that sees the earlier score
        arm["edits"] = {"progression.input": "earlier_score"} if arm["name"] == "majority" else {}
    (folder / "study.json").write_text(json.dumps(info))
    own = pd.read_parquet(folder / "ledger.parquet")
    both = [own[own["arm"] == arm].assign(arm=f"{arm} + earlier score") for arm in ("mse", "weighted")]
    pd.concat([own, *both]).to_parquet(folder / "ledger.parquet")
    rows = add_external(folder)
    pooled = rows[rows["arm"] == "weighted"].assign(arm="weighted + earlier score")
    partly = rows[(rows["arm"] == "mse") & (rows["fold"] > 0)].assign(arm="mse + earlier score")
    kept = rows if control_there else rows[rows["arm"] != "majority"]
    pd.concat([kept, pooled, partly]).to_parquet(folder / "external.parquet")
    text, data, page = reported(folder)
    there = data["external"].set_index("arm")
    if not control_there:
        assert not any(arm.endswith("earlier score") for arm in there.index)
        return
    assert [arm for arm in there.index if arm.endswith("earlier score")] == ["weighted + earlier score"]
    row, alone, control = there.loc[["weighted + earlier score", "weighted", "majority"]].to_dict("records")
    assert row["external_value"] == alone["external_value"] and row["reference"] == "majority"
    assert row["external_difference_difference"] == pytest.approx(
        alone["external_value"] - control["external_value"]
    )
    assert row["difference_difference"] == pytest.approx(row["value"] - control["value"])
    assert row["run_hashes"] == alone["run_hashes"]
    assert "with the earlier score, against Majority class" in text["external"]
    assert "beyond the earlier score alone (Macro-F1" in page and "Contrastive Loss adds +" in page


def test_runs_that_move_as_a_whole_are_in_the_intervals_and_there_is_no_p(tmp_path: Path) -> None:
    """Seen: all patients were taken to be tested by one fold's runs, and p stood in the CSV.

    Runs right on all pairs or on none: patients differ by nothing, the fifteen runs by everything."""
    folder = make_results(tmp_path / "lus")
    rows = add_external(folder)
    right = (rows["fold"] + rows["seed"]) % 2 == 0
    called = np.where(right, rows["y_true"], (rows["y_true"] + 1) % 3)
    rows.assign(y_pred=np.where(rows["arm"] == "mse", called, rows["y_pred"])).to_parquet(
        folder / "external.parquet"
    )
    found = study_statistics(load([folder]).studies[0], DRAWS).external
    assert found is not None and "p" not in found.comparison.contrasts
    metrics = found.comparison.metrics.set_index(["arm", "metric"])
    of_runs = right[rows["arm"] == "mse"].groupby([rows["fold"], rows["seed"]]).first().var(ddof=1) / 15
    once = rows[(rows["arm"] == "mse") & (rows["fold"] == 0) & (rows["seed"] == 0)]
    shares = once["patient"].value_counts(normalize=True)
    expected = np.sqrt(of_runs * (1 - (shares**2).sum()))
    assert metrics.loc[("mse", "accuracy"), "se"] == pytest.approx(expected, rel=1e-6)


def test_a_poisoned_external_cohort_changes_its_own_columns_alone(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    rows = add_external(folder)
    _, clean, _ = reported(folder)
    poison = rows.assign(y_true=2 - rows["y_true"], change=-rows["change"], site="elsewhere")
    poison.to_parquet(folder / "external.parquet")
    _, poisoned, _ = reported(folder)
    for name, table in clean.items():
        own = [column for column in table if not column.startswith("external_")]
        pd.testing.assert_frame_equal(table[own], poisoned[name][own])
    assert (clean["external"]["external_value"] != poisoned["external"]["external_value"]).any()


def test_final_runs_that_were_not_tested_there_are_counted(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    rows = add_external(folder, phantom=True)
    rows[(rows["arm"] != "weighted") | (rows["fold"] > 0)].to_parquet(folder / "external.parquet")
    text, _, page = reported(folder)
    assert "3 final runs were not tested on the external cohort" in text["external"]
    assert "external phantom" in text["external"] and "a phantom," in page


def test_a_damaged_external_ledger_is_said_and_left_out(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    add_external(folder)
    (folder / "external.parquet").write_bytes(b"none")
    text, _, _ = reported(folder)
    assert "external" not in text and "external.parquet is damaged" in text["headline"]
