"""Metrics of worse against the rest equal scikit-learn's, whichever classes the rest is made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from analysis.results.endpoints import DECLINE, PROGRESSION
from analysis.statistics.metrics import METRICS

pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60)


def counted(y, z):
    counts = np.zeros((3, 3))
    np.add.at(counts, (y, z), 1)
    return {name: float(metric.compute(counts)) for name, metric in METRICS.shown(DECLINE).items()}


@given(pairs)
def test_metrics_of_decline_equal_scikit_learn(drawn):
    y, z = np.array(drawn).T
    got, worse, called = counted(y, z), y == 0, z == 0
    assert got["decline_f1"] == pytest.approx(sk.f1_score(worse, called, zero_division=0), abs=1e-12)
    recalls = [sk.recall_score(worse == v, called == v, zero_division=np.nan) for v in (True, False)]
    both = [got["decline_sensitivity"], got["decline_specificity"]]
    assert both == pytest.approx(recalls, nan_ok=True)
    expected = sk.balanced_accuracy_score(worse, called) if len({*worse}) == 2 else np.nan
    assert got["decline_balanced_accuracy"] == pytest.approx(expected, nan_ok=True)


@given(pairs)
def test_what_the_rest_is_called_does_not_matter(drawn):
    y, z = np.array(drawn).T
    assert counted(y, z) == pytest.approx(counted(np.minimum(y, 1), np.minimum(z, 1)), nan_ok=True)


def test_each_endpoint_shows_its_own_metrics():
    assert "macro_f1" in METRICS.shown(PROGRESSION) and "macro_f1" not in METRICS.shown(DECLINE)
    assert {*METRICS.shown(PROGRESSION), *METRICS.shown(DECLINE)} == {*METRICS.built_in}
