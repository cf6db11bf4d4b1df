"""Factorial effects, tuned against fixed, importance, validity and freshness."""

import json

import numpy as np
import pandas as pd
import pytest
from make_results import make_info, make_ledger, make_results, make_trials
from sklearn.metrics import log_loss

from analysis.analysed import analyse
from analysis.factorial import effects, factorial_table
from analysis.freshness import check, write_sources
from analysis.importance import FEWEST_TRIALS, parameter_importance
from analysis.load import load
from analysis.many import tuned_and_fixed
from analysis.proper import proper_metrics
from analysis.render import latex
from analysis.search import overtuning
from analysis.table import Table
from analysis.validity import checks


def test_proper_scores_equal_scikit_learn():
    ledger = make_ledger({"mse": 0}, seeds=1)
    got = proper_metrics(ledger, 100).set_index("metric")["value"]
    p = ledger[["p_worse", "p_same", "p_better"]].to_numpy()
    assert got["nll"] == pytest.approx(log_loss(ledger["y_true"], p, labels=[0, 1, 2]), rel=1e-9)
    assert got["brier"] == pytest.approx(((p - np.eye(3)[ledger["y_true"]]) ** 2).sum(1).mean())


def crossed(folder, qualities, edits):
    """A study of crossed arms, the effects found in it, and each arm's macro-F1."""
    ledger = make_ledger(qualities)
    info = make_info(ledger)
    for arm in info["arms"]:
        arm["edits"] = edits[arm["name"]]
    (folder / "study.json").write_text(json.dumps(info))
    ledger.to_parquet(folder / "ledger.parquet")
    analysed = analyse(load([folder]).studies[0], draws=200)
    metrics = analysed.comparison.metrics
    f1 = metrics[metrics["metric"] == "macro_f1"].set_index("arm")["value"]
    return analysed, effects(analysed).set_index("effect")["difference"], f1


def test_main_effect_of_a_factorial_is_the_mean_of_simple_effects(tmp_path):
    edits = {"mse": {}, "a": {"x.a": 1}, "b": {"x.b": 1}, "ab": {"x.a": 1, "x.b": 1}}
    _, got, f1 = crossed(tmp_path, {"mse": 0, "a": 0.3, "b": 0.6, "ab": 0.9}, edits)
    assert got["x.a"] == pytest.approx((f1["a"] - f1["mse"] + f1["ab"] - f1["b"]) / 2)
    assert got["x.a x x.b"] == pytest.approx((f1["ab"] - f1["b"] - f1["a"] + f1["mse"]) / 2)


def test_a_half_factorial_gives_main_effects_and_says_what_they_are_mixed_with(tmp_path):
    qualities = {"mse": 0, "ab": 0.3, "ac": 0.6, "bc": 0.9}
    edits = {arm: {f"x.{f}": int(f in arm and arm != "mse") for f in "abc"} for arm in qualities}
    analysed, got, f1 = crossed(tmp_path, qualities, edits)
    assert list(got.index) == ["x.a", "x.b", "x.c"]
    assert got["x.a"] == pytest.approx((f1["ab"] + f1["ac"] - f1["mse"] - f1["bc"]) / 2)
    assert "Half fraction" in factorial_table([analysed]).notes[-1]


def test_tuned_and_fixed_studies_of_one_cohort_meet_in_a_table(tmp_path):
    for name in ("tuned", "fixed"):
        make_results(tmp_path / name, seed=int(name == "fixed"))
    (tmp_path / "fixed/trials.parquet").unlink()
    analysed = [analyse(s, draws=100) for s in load([tmp_path / "tuned", tmp_path / "fixed"]).studies]
    table = tuned_and_fixed(analysed)
    assert table is not None
    expected = table.data["tuned_rank"] != table.data["fixed_rank"]
    assert (table.data["flip"] == expected).all() and len(table.data) == 3


def test_the_overtuning_table_tells_luck_from_optimism(tmp_path):
    folder = make_results(tmp_path / "lus", audits=1)
    trials = pd.read_parquet(folder / "trials.parquet")
    complete = trials[trials["state"] == "complete"]
    best = complete.loc[complete.groupby(["arm", "repeat", "fold"])["objective"].idxmax()]
    columns = ["arm", "repeat", "fold", "run_hash", "state"]
    audits = best[columns].assign(seed=0, objective=best["objective"] - 0.25)
    audits.to_parquet(folder / "audits.parquet")
    table = overtuning([analyse(load([folder]).studies[0], draws=100)])
    assert table.data["luck"].to_numpy() == pytest.approx(0.25)
    assert len(table.data) == len(best)
    (folder / "audits.parquet").unlink()
    study = load([folder]).studies[0]
    assert any("audits.parquet is missing" in problem for problem in study.problems)
    assert overtuning([analyse(study, draws=100)]).data["luck"].isna().all()


def test_importance_finds_the_parameter_that_matters_and_refuses_few_trials():
    trials = make_trials({"mse": 0}, folds=1, trials=120)
    complete = trials[trials["state"] == "complete"]
    assert parameter_importance(complete.iloc[: FEWEST_TRIALS - 1]).empty
    found = parameter_importance(complete).set_index(["method", "parameter"])["value"]
    for method in ("fANOVA", "PED-ANOVA"):
        assert found[method, "train.lr"] > found[method, "objective.margin"]


def test_validity_sees_a_patient_tested_in_two_folds(tmp_path):
    folder = make_results(tmp_path / "lus")
    status = {c.name: c.status for c in checks(analyse(load([folder]).studies[0], draws=100))}
    assert status["Test folds"] == "green"
    ledger = pd.read_parquet(folder / "ledger.parquet")
    first = ledger["pair"] == ledger["pair"].iloc[0]
    moved = ledger[first].assign(fold=ledger["fold"] + 1, pair="copy")
    pd.concat([ledger, moved]).to_parquet(folder / "ledger.parquet")
    status = {c.name: c.status for c in checks(analyse(load([folder]).studies[0], draws=100))}
    assert status["Test folds"] == "red"


def test_report_older_than_its_ledger_is_found_out(tmp_path):
    folder, out = make_results(tmp_path / "lus"), tmp_path / "report"
    out.mkdir()
    write_sources(load([folder]).studies, out)
    assert check(out) == []
    ledger = pd.read_parquet(folder / "ledger.parquet")
    ledger.iloc[1:].to_parquet(folder / "ledger.parquet")
    assert len(check(out)) == 1 and "ledger.parquet has changed" in check(out)[0]


def test_latex_escapes_and_sets_intervals_below():
    panel = pd.DataFrame({"a_b": ["-0.1 [-0.2, +0.1]"]}, index=["50 % & more"])
    text = latex(Table(name="x", title="T", data=panel, panels=[("", panel)]))
    assert r"50 \% \& more" in text and r"a\_b" in text
    assert r"\shortstack[r]{$-$0.1\\{\scriptsize [$-$0.2, +0.1]}}" in text
