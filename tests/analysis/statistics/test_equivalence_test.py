"""Two one-sided tests: closed forms, agreement with the interval, and what is never called equivalent."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_results import fail_runs, lose_runs, make_results
from scipy.stats import t

from analysis.results.load import load
from analysis.statistics.equivalence_test import MARGIN, equivalence_tests, tost
from analysis.statistics.estimate import Estimate
from analysis.statistics.metrics import METRICS
from analysis.statistics.standing import standing_of
from analysis.statistics.verdict import ALPHA

F1 = METRICS["macro_f1"]


def difference(value, scale, degrees=4):
    return Estimate(
        value=value, patients=scale**2, patients_degrees=degrees, seeds_degrees=1, training=float("nan")
    )


def test_p_is_of_the_two_one_sided_t_tests():
    d = difference(0.01, 0.03)
    below, above = d.one_sided(-0.05)
    assert (below, above) == pytest.approx((t.cdf(-2, 4), 1 - t.cdf(-2, 4)))
    assert tost(d, 0.05) == pytest.approx(max(t.cdf(-2, 4), t.cdf(-0.04 / 0.03, 4)))


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.floats(0.02, 0.15))
def test_equivalent_means_that_the_90_percent_interval_lies_within_the_margin(value, scale, margin):
    d = difference(value, scale)
    low, high = d.interval(1 - 2 * ALPHA)
    p = tost(d, margin)
    if abs(p - ALPHA) > 1e-9:
        assert (p <= ALPHA) == (-margin < low and high < margin)


def test_a_difference_without_spread_lies_where_it_lies():
    assert tost(difference(0.0, 0.0), 0.05) == 0 and difference(0.0, 0.0).interval(0.9) == (0.0, 0.0)
    assert tost(difference(0.06, 0.0), 0.05) == 1.0


def test_a_metric_that_is_not_defined_somewhere_is_not_tested():
    d = difference(float("nan"), 0.01)
    assert np.isnan(tost(d, 0.05)) and np.isnan(d.interval(0.9)).all()


def twin(folder, **changes):
    """A study whose contrastive arm predicts exactly what the reference does."""
    make_results(folder, **changes)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    own = ledger[ledger["arm"] == "mse"].assign(arm="contrastive")
    pd.concat([ledger[ledger["arm"] != "contrastive"], own]).to_parquet(folder / "ledger.parquet")
    return folder


def equivalence_of(folder, arms=()):
    """The tests of a study some of whose arms are exploratory."""
    study = load([folder]).studies[0]
    return equivalence_tests(study, F1, replace(standing_of(study), exploratory=dict.fromkeys(arms, ("",))))


def test_a_twin_is_equivalent_and_a_better_arm_is_not(tmp_path):
    table = equivalence_of(twin(tmp_path / "lus")).set_index("arm")
    assert table.loc["contrastive", "equivalent"] and not table.loc["weighted", "equivalent"]
    assert (table["margin"] == MARGIN).all() and list(table.index) == ["contrastive", "weighted"]
    # Of two tests in the family the smaller p counts double.
    assert table.loc["contrastive", "p_holm"] == pytest.approx(2 * table.loc["contrastive", "p_tost"])


def test_no_difference_shown_is_not_equivalence(tmp_path):
    """Two arms of equal skill whose study is too small to tell."""
    table = equivalence_of(make_results(tmp_path / "lus")).set_index("arm")
    assert table.loc["contrastive", "low"] < -MARGIN and not table.loc["contrastive", "equivalent"]


def test_an_exploratory_arm_is_never_called_equivalent(tmp_path):
    table = equivalence_of(twin(tmp_path / "lus"), arms=("contrastive",)).set_index("arm")
    assert table.loc["contrastive", "p_holm"] < ALPHA and not table.loc["contrastive", "equivalent"]


def test_a_declared_margin_is_used_and_a_wide_one_makes_equivalent(tmp_path):
    table = equivalence_of(make_results(tmp_path / "lus", equivalence_margin=0.9))
    assert (table["margin"] == 0.9).all() and table["equivalent"].all()


def test_where_verdicts_are_withheld_nothing_is_equivalent(tmp_path):
    folder = twin(tmp_path / "lus")
    lose_runs(folder, arm="weighted", fold=0)
    assert equivalence_of(folder).empty


def test_runs_that_failed_alike_make_nobody_equivalent(tmp_path):
    """With the majority class in both places the arms agree in most folds; put in from each other, they do in
    all: the larger p stands, so it is never smaller than that of the counted runs."""
    folder = twin(tmp_path / "lus")
    fail_runs(folder, arm="contrastive", fold=[0, 1])
    table = equivalence_of(folder).set_index("arm")
    assert not table.loc["contrastive", "equivalent"]


def test_a_metric_of_ones_own_needs_a_margin_of_its_own(tmp_path, own_metrics):
    from analysis.statistics.report_metric import ReportMetric

    class Hits(ReportMetric):
        name, label = "hits", "Hits"

        def compute(self, counts):
            return np.trace(counts, axis1=-2, axis2=-1)

    Hits.__module__ = "elsewhere"
    folder = twin(tmp_path / "lus")
    study = load([folder]).studies[0]
    assert equivalence_tests(study, Hits(), standing_of(study)).empty
    study.info["equivalence_margin"] = 3
    assert len(equivalence_tests(study, Hits(), standing_of(study))) == 2
