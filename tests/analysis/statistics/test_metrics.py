"""Every metric equals scikit-learn's on the pairs that the matrix counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from analysis.statistics.metrics import METRICS

LABELS = [0, 1, 2]
pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60)


def _values(drawn):
    y, z = np.array(drawn).T
    counts = np.zeros((3, 3))
    np.add.at(counts, (y, z), 1)
    return y, z, {name: float(m.function(counts)) for name, m in METRICS.items()}


@given(pairs)
def test_metrics_equal_scikit_learn(drawn):
    y, z, got = _values(drawn)
    assert got["macro_f1"] == pytest.approx(
        sk.f1_score(y, z, labels=LABELS, average="macro", zero_division=0), abs=1e-12
    )
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(y, z), abs=1e-12)
    recalls = sk.recall_score(y, z, labels=LABELS, average=None, zero_division=np.nan)
    assert [got["recall_worse"], got["recall_same"], got["recall_better"]] == pytest.approx(
        list(recalls), nan_ok=True
    )
    assert got["balanced_accuracy"] == pytest.approx(np.nanmean(recalls), abs=1e-12)
    assert got["class_mae"] == pytest.approx(np.abs(y - z).mean(), abs=1e-12)
    assert got["far_error_rate"] == pytest.approx((np.abs(y - z) == 2).mean(), abs=1e-12)


@given(pairs)
def test_kappa_equals_scikit_learn_where_it_is_defined(drawn):
    y, z, got = _values(drawn)
    if len({*y, *z}) == 1:
        assert np.isnan(got["qwk"])
    else:
        assert got["qwk"] == pytest.approx(
            sk.cohen_kappa_score(y, z, labels=LABELS, weights="quadratic"), abs=1e-12
        )


def test_metrics_keep_leading_axes_and_are_scale_free():
    counts = np.random.default_rng(0).uniform(0, 5, (4, 2, 3, 3))
    for metric in METRICS.values():
        whole = metric.function(counts)
        assert whole.shape == (4, 2)
        np.testing.assert_allclose(metric.function(counts / 7), whole)
        assert float(metric.function(counts[3, 1])) == pytest.approx(float(whole[3, 1]))
