"""Every metric equals scikit-learn's on the pairs that the matrix counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_results import make_ledger
from sklearn import metrics as sk

from analysis.statistics.compare import compare_counts
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import METRICS

LABELS = [0, 1, 2]
pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=60)


def _values(drawn):
    y, z = np.array(drawn).T
    counts = np.zeros((3, 3))
    np.add.at(counts, (y, z), 1)
    return y, z, {name: float(m.compute(counts)) for name, m in METRICS.items()}


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


RANGES = {"qwk": (-1, 1), "class_mae": (0, 2)}
"""Of the metrics that do not lie within 0 and 1."""


@pytest.mark.parametrize("name", METRICS.built_in)
def test_a_metric_keeps_leading_axes_is_scale_free_and_within_its_range(name):
    counts = np.random.default_rng(0).uniform(0, 5, (4, 2, 3, 3))
    metric = METRICS[name]
    whole = metric.compute(counts)
    assert whole.shape == (4, 2)
    np.testing.assert_allclose(metric.compute(counts / 7), whole)
    single = [[float(metric.compute(c)) for c in row] for row in counts]
    np.testing.assert_allclose(single, whole, rtol=1e-12)
    low, high = RANGES.get(name, (0, 1))
    assert ((low <= whole) & (whole <= high)).all()
    perfect = float(metric.compute(np.eye(3)))
    assert perfect == (high if metric.higher_is_better else low)


def test_the_order_of_patients_changes_no_metric():
    ledger = make_ledger({"mse": 0.0, "weighted": 0.8}, patients=20)
    # Patients are numbered in order of their names, so other names are another order.
    names = dict(zip(ledger["patient"].unique(), np.random.default_rng(0).permutation(20), strict=True))
    renamed = ledger.assign(patient=ledger["patient"].map({k: f"q{v:02d}" for k, v in names.items()}))
    tables = [
        compare_counts(confusion_counts(t), reference="mse", family=("weighted",), draws=100)
        for t in (ledger, renamed.sample(frac=1, random_state=0))
    ]
    a, b = (t.metrics.sort_values(["arm", "metric"])["value"].to_numpy() for t in tables)
    np.testing.assert_allclose(a, b, rtol=1e-12)
