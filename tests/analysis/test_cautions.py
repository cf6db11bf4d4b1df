"""Failed and missing final runs are said beside every number that they are in, whatever the format."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, fail_runs, lose_runs, make_permutations, make_results

from analysis.building import all_tables
from analysis.figures.decision_curve import decision_curve
from analysis.figures.final_runs import calibration, confusion, distance, forest
from analysis.page.page import Report, html
from analysis.page.sentences import verdict_sentences
from analysis.page.validity import checks
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.render import latex, markdown, plain


def reported(*folders, draws=200):
    """The studies of some folders, their tables by name, and the page without figures."""
    statistics = [study_statistics(study, draws) for study in load(folders).studies]
    tables = {table.name: table for table in all_tables(statistics)}
    return statistics, tables, html(Report(statistics=statistics, tables=list(tables.values()), drawings=[]))


def texts(table):
    return {"terminal": plain(table), "Markdown": markdown(table), "LaTeX": latex(table)}


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    folder = make_results(tmp_path_factory.mktemp("failed") / "lus")
    fail_runs(folder, "loss is nan", arm="weighted", fold=[1, 2], seed=0)
    return reported(folder)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    folder = make_results(tmp_path_factory.mktemp("unfinished") / "lus")
    lose_runs(folder, arm="weighted", fold=[2, 3, 4])
    return reported(folder)


def test_every_table_marks_an_arm_whose_final_runs_failed(failed):
    _, tables, page = failed
    assert set(tables) >= {"headline", "metrics", "tests", "search"}
    for table in tables.values():
        for kind, text in texts(table).items():
            mark = r"\dag{}" if kind == "LaTeX" else "†"
            assert f"MSE + Weighted Contrastive Loss {mark}" in text, (table.name, kind)
            assert "MSE + Weighted Contrastive Loss 2 of 15" in text, (table.name, kind)
            assert f"MSE Loss {mark}" not in text, (table.name, kind)
        marked = table.data[table.data["imputed_runs"] > 0]
        assert set(marked["arm"]) == {"weighted"} and (marked["imputed_runs"] == 2).all()
    assert page.count("MSE + Weighted Contrastive Loss †") >= len(tables)


def test_figures_mark_it_too(failed):
    (item,), _, _ = failed
    for drawing in (confusion(item), calibration(item), decision_curve(item), forest([item])):
        assert "†" in drawing.svg and "2 of 15" in drawing.description
        assert set(drawing.data.loc[drawing.data["imputed_runs"] > 0, "arm"]) == {"weighted"}
    assert "weighted" not in set(distance(item).data["arm"])


def test_reasons_of_failed_final_runs_are_listed_in_terminal_and_page(failed):
    (item,), tables, page = failed
    reason = "2 final runs of MSE + Weighted Contrastive Loss failed: loss is nan."
    assert reason in plain(tables["headline"]) and reason in page
    assert next(c for c in checks(item) if c.name == "All final runs").status == "amber"


def test_the_failed_runs_count_in_every_number_and_no_correlation_of_survivors_is_given(failed):
    (item,), tables, _ = failed
    row = tables["headline"].data.set_index("arm").loc["weighted"]
    rows = item.study.ledger[item.study.ledger["arm"] == "weighted"]
    assert row["accuracy_value"] == pytest.approx((rows["y_true"] == rows["y_pred"]).mean(), abs=1e-12)
    assert np.isnan(row["spearman_value"]) and row["final_runs"] == 15


@pytest.mark.long
def test_the_verdict_says_what_became_of_it_both_ways(tmp_path):
    folder = make_results(tmp_path / "lus")
    fail_runs(folder, arm="mse")
    (item,), tables, page = reported(folder, draws=1000)
    row = item.comparison.tests.set_index("arm").loc["weighted"]
    assert row["verdict_counted"] == "supported" and row["verdict"] == "not supported"
    sentence = next(s for s in verdict_sentences(item) if "Weighted" in s)
    assert "in their place: supported" in sentence
    assert "predictions in their place: not supported (+0.000, Holm p 1.000)" in sentence
    assert "put in 1.000" in plain(tables["headline"])
    assert re.search(r"Difference.*", markdown(tables["headline"])) and "] † |" in markdown(
        tables["headline"]
    )
    assert 'class="supported"' not in page


@pytest.mark.long
def test_a_direction_that_a_dead_reference_made_is_not_consistent(tmp_path):
    folders = [make_results(tmp_path / name, seed=3) for name in ("A", "B")]
    directions = []
    for _ in range(2):
        across = reported(*folders)[1]["across"].panels[0][1]
        directions.append(across.loc[across.index.str.contains("Weighted"), "Direction"].item())
        fail_runs(folders[0], arm="mse")
    assert directions == ["better in all 2", "differs"]


def test_an_unfinished_study_has_no_verdict_and_no_p_in_any_format(unfinished):
    (item,), tables, page = unfinished
    assert item.comparison.tests.empty and "tests" in tables and not tables["tests"].panels
    assert forest([item]) is None
    for table in tables.values():
        assert not {"p", "p_holm", "p_bootstrap", "p_nadeau_bengio"} & set(table.data.columns), table.name
        for kind, text in texts(table).items():
            assert not re.search(r"supported|suggestive|undecided: ", text), (table.name, kind)
            if table.panels:
                assert "unfinished" in text, (table.name, kind)
    headline = tables["headline"].data.set_index("arm")
    assert headline.loc["weighted", "verdict"] == "no verdict"
    assert headline["missing_runs"].to_dict() == {"mse": 0, "contrastive": 0, "weighted": 9, "majority": 0}
    assert verdict_sentences(item) == [
        "LUS, unfinished: no verdicts (unfinished, 51 of 60 final runs are in the ledger)."
    ]
    assert 'class="supported"' not in page and "no verdicts" in page


def test_no_row_of_an_unfinished_study_has_patients_that_another_lacks(unfinished):
    """Seen: 0.627 from two folds beside 0.487 from five, without a word."""
    (item,), tables, _ = unfinished
    ledger = item.study.ledger
    for arm, value in tables["headline"].data.set_index("arm")["accuracy_value"].items():
        rows = ledger[(ledger["arm"] == arm) & (ledger["fold"] < 2)]
        assert value == pytest.approx((rows["y_true"] == rows["y_pred"]).mean(), abs=1e-12)
    for text in texts(tables["headline"]).values():
        assert re.search(r"MSE \+ Weighted Contrastive Loss (‡|\\ddag\{\})", text)
        assert "MSE + Weighted Contrastive Loss 9 of 15" in text


def test_no_check_is_green_on_an_unfinished_study_by_the_runs_it_has(unfinished):
    (item,), _, _ = unfinished
    status = {check.name: check.status for check in checks(item)}
    assert status["All final runs"] == "red" and status["Class threshold"] == "not checked"


@pytest.mark.long
def test_a_control_whose_runs_failed_makes_no_check_green(tmp_path):
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    info["arms"][3]["edits"] = {"progression.input": "earlier_score", "progression.shuffle_labels": True}
    (folder / "study.json").write_text(json.dumps(info))
    make_permutations(folder, "majority").to_parquet(folder / "permutations.parquet")
    change_ledger(
        folder,
        lambda ledger: ledger.assign(y_pred=ledger["y_pred"].mask(ledger["arm"] == "mse", ledger["y_true"])),
    )
    names = ("Earlier score alone", "Label shuffle")

    def status():
        return {c.name: c.status for c in checks(reported(folder)[0][0]) if c.name in names}

    assert status() == dict.fromkeys(names, "green")
    fail_runs(folder, arm="majority")
    assert status() == dict.fromkeys(names, "not checked")


def test_a_nan_in_one_fold_leaves_no_verdict(tmp_path):
    """Seen: *supported, p 0.046* of the folds that were left."""
    folder = make_results(tmp_path / "lus")
    change_ledger(
        folder,
        lambda ledger: ledger.assign(
            p_same=ledger["p_same"].mask((ledger["arm"] == "weighted") & (ledger["fold"] == 2))
        ),
    )
    (item,), tables, _ = reported(folder)
    assert item.study.damaged and item.comparison.tests.empty
    assert "damaged" in plain(tables["headline"]) and "supported" not in plain(tables["headline"])


def test_an_older_ledger_without_failed_runs_is_unfinished_and_one_with_all_runs_is_not(tmp_path):
    folder = make_results(tmp_path / "lus")
    study = load([folder]).studies[0]
    assert not study.withheld and not study.ledger["imputed"].any()
    lose_runs(folder, arm="mse", fold=0, seed=0)
    study = load([folder]).studies[0]
    assert "59 of 60" in study.withheld and any("rewrites its tables" in p for p in study.problems)


def test_pairs_that_one_arm_lacks_are_left_out_of_all_rows_and_it_is_said(tmp_path):
    folder = make_results(tmp_path / "lus")
    patient = pd.read_parquet(folder / "ledger.parquet")["patient"].iloc[0]
    lose_runs(folder, arm="weighted", patient=patient)
    (item,), _, _ = reported(folder)
    assert patient not in set(item.study.compared["patient"]) and not item.study.withheld
    assert any("of the same patients" in problem for problem in item.study.problems)


@pytest.mark.long
def test_a_fold_without_a_chosen_trial_is_left_out_of_what_the_search_promised(tmp_path):
    folder = make_results(tmp_path / "lus", base={"progression": {"selection_metric": "log_loss"}})
    fail_runs(folder, "no trial of its search is complete", arm="weighted", fold=1)
    trials = pd.read_parquet(folder / "trials.parquet")
    died = (trials["arm"] == "weighted") & (trials["fold"] == 1)
    trials.assign(
        state=trials["state"].mask(died, "failed"), selection_score=trials["selection_score"].mask(died)
    ).to_parquet(folder / "trials.parquet")
    _, tables, _ = reported(folder)
    assert set(tables["overtuning"].data["fold"]) == {0, 2, 3, 4}
    assert any("1 folds are left out" in note for note in tables["overtuning"].notes)
    best = tables["search"].data.set_index("arm")["best"]
    assert np.isnan(best["weighted"]) and np.isfinite(best["mse"])


@pytest.mark.long
def test_the_numerics_are_stated_and_missing_ones_are_the_first(tmp_path):
    folders = [make_results(tmp_path / "old"), make_results(tmp_path / "new", numerics=2)]
    for folder, number in zip(folders, (1, 2), strict=True):
        (item,), tables, page = reported(folder)
        assert item.study.numerics == number
        assert f"numerics {number}" in page and f"numerics {number}" in markdown(tables["headline"])
        assert f"numerics {number}, command" in page, "the checklists name it too"
        assert "Numerics differ" not in page


@pytest.mark.long
def test_studies_of_different_numerics_are_not_shown_together_without_a_word(tmp_path):
    folders = [make_results(tmp_path / "old"), make_results(tmp_path / "new", numerics=2)]
    forget_the_search(folders[1])
    _, tables, page = reported(*folders)
    for name in ("headline", "across", "tuned-fixed"):
        for kind, text in texts(tables[name]).items():
            assert "Numerics differ: LUS old 1, LUS new 2." in text, (name, kind)
    assert "Numerics differ" in page


def forget_the_search(folder):
    """A study without a search: the tables compare it with one that searched."""
    (folder / "trials.parquet").unlink()
