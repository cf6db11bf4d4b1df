"""Two one-sided tests: closed forms, agreement with the interval, and what is never called equivalent."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_results import fail_runs, lose_runs, make_results
from scipy.stats import norm, t

from analysis.results.load import load
from analysis.statistics.corrected_t import CorrectedT
from analysis.statistics.equivalence_test import MARGIN, OneSided, equivalence_tests, tost
from analysis.statistics.metrics import METRICS
from analysis.statistics.verdict import ALPHA

F1 = METRICS["macro_f1"]
SPREAD = norm.ppf((np.arange(2000) + 0.5) / 2000)


def difference(value, sd, mean, scale, degrees=4):
    return OneSided(value, value + sd * SPREAD, CorrectedT(mean, scale, degrees, 0.5))


def test_p_is_the_larger_of_the_bootstraps_and_half_of_the_corrected_ts():
    d = difference(0.0, 0.02, 0.01, 0.03)
    below, above = d.p(-0.05)
    assert below == pytest.approx(max(norm.cdf(-2.5), t.cdf(-2, 4) / 2), abs=1e-3)
    assert above == pytest.approx(max(1 - norm.cdf(-2.5), (1 - t.cdf(-2, 4)) / 2), abs=1e-3)
    assert tost(d, 0.05) == pytest.approx(max(below, d.p(0.05)[1]))


@given(
    st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.floats(-0.1, 0.1), st.floats(0.001, 0.05),
    st.floats(0.02, 0.15),
)  # fmt: skip
def test_equivalent_means_that_the_90_percent_interval_lies_within_the_margin(value, sd, mean, scale, margin):
    d = difference(value, sd, mean, scale)
    low, high = d.interval(1 - 2 * ALPHA)
    p = tost(d, margin)
    if abs(p - ALPHA) > 0.002:  # a bootstrap of 2,000 draws has steps
        assert (p <= ALPHA) == (-margin < low and high < margin)


def test_a_difference_without_spread_lies_where_it_lies():
    d = OneSided(0.0, np.zeros(999), CorrectedT(0.0, 0.0, 4, 1.0))
    assert tost(d, 0.05) == pytest.approx(0.001) and d.interval(0.9) == (0.0, 0.0)
    assert tost(OneSided(0.06, np.full(999, 0.06), CorrectedT(0.06, 0.0, 4, 0.0)), 0.05) == 1.0


def test_a_metric_that_is_not_defined_somewhere_is_not_tested():
    d = OneSided(0.0, np.array([0.0, np.nan]), CorrectedT(0.0, 0.01, 4, 1.0))
    assert np.isnan(tost(d, 0.05)) and np.isnan(d.interval(0.9)).all()


def twin(folder, **changes):
    """A study whose contrastive arm predicts exactly what the reference does."""
    make_results(folder, **changes)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    own = ledger[ledger["arm"] == "mse"].assign(arm="contrastive")
    pd.concat([ledger[ledger["arm"] != "contrastive"], own]).to_parquet(folder / "ledger.parquet")
    return folder


def equivalence_of(folder, draws=1000):
    return equivalence_tests(load([folder]).studies[0], F1, draws)


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
    assert equivalence_tests(study, Hits(), 200).empty
    study.info["equivalence_margin"] = 3
    assert len(equivalence_tests(study, Hits(), 200)) == 2
