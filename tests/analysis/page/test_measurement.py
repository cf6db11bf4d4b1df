"""Sentences on reliability, calibration, use and equivalence claim what the numbers hold."""

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, lose_runs, make_results

from analysis.building import all_tables
from analysis.figures.decision_curve import decision_curve
from analysis.page.measurement import (
    beside_threshold,
    measurement_methods,
    measurement_sentences,
    slope_error,
)
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics

pytestmark = pytest.mark.slow


def statistics_of(folder, draws=200):
    return study_statistics(load([folder]).studies[0], draws)


@pytest.fixture(scope="module")
def statistics(tmp_path_factory):
    return statistics_of(make_results(tmp_path_factory.mktemp("results") / "lus"))


@pytest.mark.parametrize(
    ("threshold", "said"),
    [(2, "classes are noisy"), (3.5, "may be noisy"), (4.2, "may still be noisy"), (6, "above its interval")],
)
def test_the_threshold_is_set_beside_the_minimal_detectable_change(threshold, said):
    row = pd.Series({"mdc": 4.0, "mdc_low": 3.1, "mdc_high": 5.0})
    assert said in beside_threshold(row, threshold, " points")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.8, 1.2, ""), (-3, 1.0, ""), (1.1, 2, "too moderate"), (0.1, 0.9, "too extreme"),
     (-0.7, 0.7, "without a relation shown"), (-4, -0.3, "the wrong way round")],
)  # fmt: skip
def test_a_slope_is_called_what_its_interval_shows(low, high, said):
    assert slope_error(low, high) == said


def test_every_kind_has_its_sentence(statistics):
    text = "\n".join(measurement_sentences(statistics))
    assert "Reliability not estimable (no visit repeats): S/F ratio." in text
    assert "Reliability of MSE Loss, predicted score: ICC(1) 0.5" in text
    assert "minimal detectable change 2" in text
    assert "The threshold" not in text, "a prediction that hardly varies has a small MDC, and no merit"
    assert "Calibration of MSE Loss (6 intervals, each of 95 %)" in text
    assert (
        "Net benefit of MSE + Weighted Contrastive Loss for worse: above acting on all and on none at" in text
    )
    assert text.count("not shown to be equivalent within ±0.05 (TOST") == 2


def test_the_threshold_stands_beside_the_measured_score(tmp_path):
    folder = make_results(tmp_path / "lus")
    change_ledger(folder, lambda ledger: ledger.assign(interval_days=ledger["interval_days"] / 10))
    first = measurement_sentences(statistics_of(folder))[0]
    assert first.startswith("Reliability of S/F ratio: ICC(1)")
    assert "The threshold of 25 lies below it and below its interval: classes are noisy." in first


def test_equivalent_is_said_only_of_arms_that_pass_the_test(tmp_path):
    folder = make_results(tmp_path / "lus", equivalence_margin=0.9)
    said = measurement_sentences(statistics_of(folder))
    assert sum(": equivalent within ±0.9 (TOST" in sentence for sentence in said) == 2
    development = make_results(tmp_path / "mri", equivalence_margin=0.9, protocol="development-split")
    said = measurement_sentences(statistics_of(development))
    assert sum("equivalent within ±0.9 of this configuration only" in sentence for sentence in said) == 2


def test_probabilities_made_extreme_are_called_so(tmp_path):
    folder = make_results(tmp_path / "lus")

    def sharpen(ledger):
        names = ["p_worse", "p_same", "p_better"]
        p = ledger[names].to_numpy() ** 3
        ledger[names] = p / p.sum(1, keepdims=True)
        return ledger

    change_ledger(folder, sharpen)
    said = "\n".join(measurement_sentences(statistics_of(folder)))
    assert "worse too extreme (slope 0." in said


def test_tables_and_figure_hold_every_arm_with_its_runs(statistics):
    tables = {table.name: table for table in all_tables([statistics])}
    for name in ("repeatability", "calibration", "net-benefit", "equivalence"):
        data = tables[name].data
        assert set(data["study"]) == {"lus"} and tables[name].notes
        assert (data.loc[data["arm"] == "weighted", "run_hashes"].str.count(";") == 14).all()
    assert "(act on all)" in set(tables["net-benefit"].data["arm"])
    assert "not estimable: no visit repeats" in tables["repeatability"].panels[0][1].iloc[0, 0]
    drawing = decision_curve(statistics)
    assert drawing.name == "decision-lus" and "<svg" in drawing.svg
    assert set(drawing.data["arm"]) == {"mse", "contrastive", "weighted", "majority", "(act on all)"}


def test_nothing_is_said_at_thresholds_that_hardly_anybody_passes(tmp_path):
    folder = make_results(tmp_path / "lus")
    change_ledger(
        folder,
        lambda ledger: ledger.assign(p_worse=np.where(ledger["pair"] == "p0000-0", ledger["p_worse"], 0.0)),
    )
    said = [s for s in measurement_sentences(statistics_of(folder)) if s.startswith("Net benefit")]
    assert said and all("at no threshold" in sentence for sentence in said)


def test_of_an_unfinished_study_nothing_is_claimed(tmp_path):
    folder = make_results(tmp_path / "lus")
    lose_runs(folder, arm="weighted", fold=0)
    text = "\n".join(measurement_sentences(statistics_of(folder)))
    assert "Net benefit" not in text and "equivalent" not in text and "Calibration of" in text


def test_methods_say_what_was_computed_alone(statistics, tmp_path):
    text = measurement_methods([statistics])
    assert "reliability of predicted score is ICC(1)" in text and "within ±0.05" in text
    folder = make_results(tmp_path / "lus")
    lose_runs(folder, arm="weighted", fold=0)
    single = pd.read_parquet(folder / "scores.parquet").drop_duplicates(["arm", "seed", "patient", "visit"])
    single.to_parquet(folder / "scores.parquet")
    text = measurement_methods([statistics_of(folder)])
    assert "ICC" not in text and "one-sided" not in text and "Decision curves" in text
