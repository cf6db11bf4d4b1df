"""What arms add to the earlier score: who is compared, who is left out, and what the report says first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, fail_runs, make_info, make_ledger, make_scores, make_trials

from analysis.building import build
from analysis.page.incremental import incremental_sentences
from analysis.page.page import html
from analysis.results.load import load
from analysis.results.with_earlier_score import SUFFIX
from analysis.statistics.study_statistics import StudyStatistics, study_statistics
from analysis.tables.incremental import incremental_table

SKILL = {"mse": 0.0, "weighted": 0.8, "earlier_score": -0.6}
ADDS = {"mse": None, "weighted": 0.9}
"""The skill of the arms with the earlier score; None predicts what the earlier score alone does."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study in which one arm adds to the earlier score, and the other nothing at all."""
    path = tmp_path / "lus-phantom"
    path.mkdir()
    named = {f"{arm}{SUFFIX}": skill for arm, skill in ADDS.items() if skill is not None}
    ledger = make_ledger({**SKILL, **named}, patients=90)
    alone = ledger[ledger["arm"] == "earlier_score"]
    ledger = pd.concat([ledger, alone.assign(arm=f"mse{SUFFIX}")], ignore_index=True)
    info = make_info(ledger[ledger["arm"].isin(SKILL)], "lus-phantom")
    info["cohort"]["phantom"] = True
    for arm in info["arms"]:
        arm["control"] = arm["name"] == "earlier_score"
        arm["edits"] = {"progression.input": "earlier_score"} if arm["control"] else {}
    (path / "study.json").write_text(json.dumps(info))
    combined = ledger["arm"].str.endswith(SUFFIX)
    ledger["weight_own"] = np.where(combined, 1.0, np.nan)
    ledger["weight_earlier_score"] = np.where(combined, 0.5, np.nan)
    ledger.to_parquet(path / "ledger.parquet")
    make_trials(SKILL).to_parquet(path / "trials.parquet")
    make_scores({"mse": 0.0}).to_parquet(path / "scores.parquet")
    return path


def statistics(folder: Path, draws: int = 300) -> StudyStatistics:
    return study_statistics(load([folder]).studies[0], draws)


def rows_of(arm: str, fold: int = 0) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda ledger: ledger[~((ledger["arm"] == arm) & (ledger["fold"] == fold))]


def test_an_arm_that_adds_is_told_from_one_that_repeats_the_earlier_score(folder: Path) -> None:
    value = statistics(folder).incremental
    added = {arm: value.row(value.comparison.contrasts, f"{arm}{SUFFIX}") for arm in ADDS}
    tests = {arm: value.row(value.comparison.tests, f"{arm}{SUFFIX}") for arm in ADDS}
    assert added["mse"]["difference"] == 0 and tests["mse"]["verdict"] != "supported"
    assert added["weighted"]["difference"] > 0.1 and tests["weighted"]["verdict"] == "supported"
    assert tests["weighted"]["family"] == 2, "the declared arms; the control is not tested against itself"


def test_rows_with_the_earlier_score_are_no_arms_of_the_main_comparison(folder: Path) -> None:
    with_them = statistics(folder)
    change_ledger(folder, lambda ledger: ledger[~ledger["arm"].str.endswith(SUFFIX)])
    without = statistics(folder)
    for name in ("metrics", "contrasts", "tests"):
        pd.testing.assert_frame_equal(
            getattr(with_them.comparison, name), getattr(without.comparison, name), check_exact=True
        )
    assert not with_them.study.problems and with_them.arms == without.arms


@pytest.mark.long
def test_the_report_begins_with_what_arms_add_and_names_the_phantom(folder: Path) -> None:
    report = build(load([folder]).studies, 300)
    first = html(report).split('<ul class="verdicts">')[1].split("</li>")[0]
    assert "phantom" in first and "Beyond the earlier score alone (Macro-F1" in first
    assert "weighted" in first.lower() and "supported, Holm p" in first and "+0.000" in first
    (table,) = (t for t in report.tables if t.name == "incremental")
    assert list(table.data["arm"]) == ["earlier_score", "mse", "weighted"]
    assert "1.00 : 0.50" in table.panels[0][1].to_string()


def test_an_arm_some_of_whose_runs_were_not_combined_is_left_out_and_named(folder: Path) -> None:
    change_ledger(folder, rows_of(f"weighted{SUFFIX}"))
    found = statistics(folder)
    assert found.incremental.arms == ("mse",)
    first, second = incremental_sentences(found)
    assert "3 of its final runs were not combined" in second and "MSE" in first
    assert value_of_family(found) == 2, "who is left out still counts for Holm"


def value_of_family(found: StudyStatistics) -> int:
    value = found.incremental
    return int(value.row(value.comparison.tests, f"mse{SUFFIX}")["family"])


def test_of_runs_of_older_versions_the_report_says_that_it_does_not_know(folder: Path) -> None:
    change_ledger(folder, lambda ledger: ledger[~ledger["arm"].str.endswith(SUFFIX)])
    found = statistics(folder)
    (sentence,) = incremental_sentences(found)
    assert "is not known" in sentence and "by a version that did not combine them" in sentence
    assert incremental_table([found]) is None
    change_ledger(folder, rows_of("earlier_score", fold=0))
    change_ledger(folder, lambda ledger: ledger[ledger["arm"] != "earlier_score"])
    (sentence,) = incremental_sentences(statistics(folder))
    assert "the control that sees the earlier score alone was not run" in sentence


def test_an_unfinished_study_has_no_verdict_on_what_is_added(folder: Path) -> None:
    change_ledger(folder, rows_of("mse"))
    change_ledger(folder, rows_of(f"mse{SUFFIX}"))
    found = statistics(folder)
    assert found.incremental.comparison.tests.empty
    assert "p" not in found.incremental.comparison.contrasts
    assert "no verdicts (unfinished" in incremental_sentences(found)[0]


def test_a_failed_run_counts_in_both(folder: Path) -> None:
    """The majority class stands for a run that failed, also where it is combined with the earlier score."""
    fail_runs(folder, arm=["weighted", f"weighted{SUFFIX}"], fold=0)
    value = statistics(folder).incremental
    whole = value.row(value.comparison.tests, f"weighted{SUFFIX}")
    assert {"p_put_in", "verdict_counted"} <= set(whole.index)


def test_an_arm_that_was_declared_under_such_a_name_is_an_arm(folder: Path) -> None:
    info = json.loads((folder / "study.json").read_text())
    info["arms"].append({"name": f"mse{SUFFIX}", "label": "own", "edits": {}, "control": False})
    (folder / "study.json").write_text(json.dumps(info))
    assert f"mse{SUFFIX}" in statistics(folder).arms


def test_what_takes_away_is_not_said_to_add(folder: Path) -> None:
    """A combination that is supported to be worse is called so."""

    def harm(ledger: pd.DataFrame) -> pd.DataFrame:
        wrong = ledger["arm"] == f"mse{SUFFIX}"
        return ledger.assign(y_pred=ledger["y_pred"].where(~wrong, (ledger["y_true"] + 1) % 3))

    change_ledger(folder, harm)
    assert "(supported to be worse, Holm p" in incremental_sentences(statistics(folder))[0]
