"""Factorial effects are the differences of means that the textbook names."""

import json

import pytest
from make_results import make_info, make_ledger

from analysis.results.load import load
from analysis.statistics.factorial import factorial_effects
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.factorial import factorial_table


def crossed(folder, qualities, edits):
    """A study of crossed arms, the effects found in it, and each arm's macro-F1."""
    ledger = make_ledger(qualities)
    info = make_info(ledger)
    for arm in info["arms"]:
        arm["edits"] = edits[arm["name"]]
    (folder / "study.json").write_text(json.dumps(info))
    ledger.to_parquet(folder / "ledger.parquet")
    statistics = study_statistics(load([folder]).studies[0], draws=200)
    metrics = statistics.comparison.metrics
    f1 = metrics[metrics["metric"] == "macro_f1"].set_index("arm")["value"]
    return statistics, factorial_effects(statistics).set_index("effect")["difference"], f1


def test_main_effect_of_a_factorial_is_the_mean_of_simple_effects(tmp_path):
    edits = {"mse": {}, "a": {"x.a": 1}, "b": {"x.b": 1}, "ab": {"x.a": 1, "x.b": 1}}
    _, got, f1 = crossed(tmp_path, {"mse": 0, "a": 0.3, "b": 0.6, "ab": 0.9}, edits)
    assert got["x.a"] == pytest.approx((f1["a"] - f1["mse"] + f1["ab"] - f1["b"]) / 2)
    assert got["x.a x x.b"] == pytest.approx((f1["ab"] - f1["b"] - f1["a"] + f1["mse"]) / 2)


def test_a_half_factorial_gives_main_effects_and_says_what_they_are_mixed_with(tmp_path):
    qualities = {"mse": 0, "ab": 0.3, "ac": 0.6, "bc": 0.9}
    edits = {arm: {f"x.{f}": int(f in arm and arm != "mse") for f in "abc"} for arm in qualities}
    statistics, got, f1 = crossed(tmp_path, qualities, edits)
    assert list(got.index) == ["x.a", "x.b", "x.c"]
    assert got["x.a"] == pytest.approx((f1["ab"] + f1["ac"] - f1["mse"] - f1["bc"]) / 2)
    assert "Half fraction" in factorial_table([statistics]).notes[-1]
