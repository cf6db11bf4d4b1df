"""ICC, SEM and MDC equal the textbook's and scipy's analysis of variance, and find what was planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f_oneway

from analysis.statistics.bootstrap import patient_weights
from analysis.statistics.repeatability import components, group_sums, repeatability

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)
"""Table 2 of Shrout and Fleiss (1979): six targets, four judges; ICC(1,1) is 0.17."""
ONCE = np.ones((1, 6), dtype=np.float32)


def sums_of(values, owner=None):
    """Groups are the rows; each is a patient's own unless an owner is given."""
    rows, times = values.shape[:2]
    group = np.repeat(np.arange(rows), times)
    owner = np.arange(rows) if owner is None else owner
    return group_sums(
        values.reshape(rows * times, -1).astype(float), group, owner[group], int(owner.max()) + 1
    )


def icc(sums, weights):
    between, within = components(sums, weights)
    return between / (between + within)


def test_icc_of_the_table_of_shrout_and_fleiss():
    sums = sums_of(SHROUT_FLEISS)
    between, within = components(sums, ONCE)
    assert within[0] == pytest.approx(6.2639, abs=1e-3)  # WMS of the paper's table 3: 6.26
    assert icc(sums, ONCE)[0] == pytest.approx(0.1657, abs=1e-4)
    found = repeatability([sums], ONCE)
    assert found.sem[0] == pytest.approx(np.sqrt(within[0]))
    assert found.mdc[0] == pytest.approx(1.96 * np.sqrt(2 * within[0]))
    assert between[0] > 0


@given(st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=5), min_size=2, max_size=8))
def test_unequal_groups_equal_scipys_analysis_of_variance(groups):
    sizes = np.array([len(g) for g in groups])
    values = np.concatenate([np.array(g, dtype=float) for g in groups])
    within = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups)
    if sizes.sum() == len(groups) or within == 0:
        return  # without retests, or without spread in them, there is no F
    group = np.repeat(np.arange(len(groups)), sizes)
    got = icc(group_sums(values, group, group, len(groups)), np.ones((1, len(groups)), dtype=np.float32))
    f = f_oneway(*groups).statistic
    n0 = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    assert got[0] == pytest.approx((f - 1) / (f + n0 - 1), abs=1e-3, rel=1e-3)


def test_a_draw_of_patients_is_the_analysis_of_the_drawn():
    values, owner = np.random.default_rng(0).normal(size=(9, 3)), np.repeat([0, 1, 2], 3)
    drawn = icc(sums_of(values, owner), np.array([[2, 0, 1]], dtype=np.float32))
    rows = np.concatenate([values[owner == 0]] * 2 + [values[owner == 2]])
    assert drawn[0] == pytest.approx(icc(sums_of(rows), np.ones((1, 9), dtype=np.float32))[0], abs=1e-4)


def test_vectors_compare_distances_within_and_between_groups():
    x = np.random.default_rng(1).normal(size=(7, 2, 5)) + np.random.default_rng(2).normal(size=(7, 1, 5))
    flat, group = x.reshape(14, 5), np.repeat(np.arange(7), 2)
    squares = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    same = group[:, None] == group[None]
    within, all_ = squares[same & ~np.eye(14, dtype=bool)].mean(), squares[~same].mean()
    assert icc(sums_of(x), np.ones((1, 7), dtype=np.float32))[0] == pytest.approx(1 - within / all_, abs=1e-5)


def test_encoders_are_never_pooled():
    """Two runs whose scores lie far apart: what they share is how well each repeats."""
    rng = np.random.default_rng(3)
    one = rng.normal(size=(40, 1)) + 0.5 * rng.normal(size=(40, 2))
    weights = patient_weights(40, 200)
    alone, both = (
        repeatability(runs, weights) for runs in ([sums_of(one)], [sums_of(one), sums_of(one + 100)])
    )
    assert both.icc[0] == pytest.approx(alone.icc[0], abs=1e-4)
    assert both.sem[0] == pytest.approx(alone.sem[0], abs=1e-4)


def test_repeats_that_differ_more_than_patients_have_an_icc_of_0():
    found = repeatability(
        [sums_of(np.array([[0.0, 9.0], [9.0, 0.0], [1.0, 8.0]] * 2))], patient_weights(6, 50)
    )
    assert found.icc == (0.0, 0.0, 0.0) and found.sem[0] > 5


def test_a_draw_without_retests_says_nothing():
    values, group = np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1])
    sums = group_sums(values, group, group, 2)
    got = components(sums, np.array([[1, 1], [0, 2]], dtype=np.float32))[1]
    assert got[0] == pytest.approx(0.5) and np.isnan(got[1])
    assert sums.retests == 1 and sums.retested_patients == 1


def test_the_interval_covers_a_planted_icc():
    """ICC 0.7 of the visits of 60 patients, two clips each; 95 % intervals of 100 samples."""
    rng, hits, weights = np.random.default_rng(4), 0, patient_weights(60, 200)
    for _ in range(100):
        values = np.sqrt(0.7) * rng.normal(size=(60, 1)) + np.sqrt(0.3) * rng.normal(size=(60, 2))
        _, low, high = repeatability([sums_of(values)], weights).icc
        hits += low <= 0.7 <= high
    assert hits >= 90
