"""Scores are ranked within the final run whose encoder gave them, in every draw of patients anew."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from analysis.statistics.bootstrap import patient_weights
from analysis.statistics.rank_correlation import fisher_mean, spearman_by_arm, weighted_spearman

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), min_size=4, max_size=25)


@given(rows)
def test_weights_count_a_row_so_many_times(drawn):
    x, y, n = (np.array(column, dtype=np.float64) for column in zip(*drawn, strict=True))
    (got,) = weighted_spearman(x, y, n[None])
    times = n.astype(int)
    x, y = np.repeat(x, times), np.repeat(y, times)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


def scores(levels, *, patients=60, seeds=2, noise=0.5, seed=0):
    """Predictions that follow the score, each fold's encoder putting them at a level of its own."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), 3)
    fold, score = (
        patient % len(levels),
        rng.normal(size=patients)[patient] + 0.2 * rng.normal(size=len(patient)),
    )
    frames = [
        pd.DataFrame(
            {"arm": "a", "repeat": 0, "seed": s, "fold": fold, "patient": patient, "score": score,
             "predicted": score + noise * rng.normal(size=len(score)) + np.array(levels)[fold]}
        )
        for s in range(seeds)
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_encoders_at_different_levels_lower_the_pooled_value_alone():
    """Seen: 0.734 printed of folds of 0.829, 0.851 and 0.864."""
    table = scores([-1.0, 0.0, 1.0])
    (row,) = spearman_by_arm(table, "score", "predicted", 300).to_dict("records")
    of_run = [spearmanr(g["score"], g["predicted"]).statistic for _, g in table.groupby(["seed", "fold"])]
    assert row["value"] == pytest.approx(np.tanh(np.arctanh(of_run).mean())) and row["runs"] == 6
    assert min(of_run) < row["value"] < max(of_run) and row["pooled"] < min(of_run)
    assert row["low"] < row["value"] < row["high"]
    (same,) = spearman_by_arm(scores([0.0, 0.0, 0.0]), "score", "predicted", 300).to_dict("records")
    assert same["value"] == pytest.approx(row["value"]) and same["pooled"] > row["pooled"] + 0.1


def test_levels_and_scales_of_the_folds_change_neither_value_nor_interval():
    one, other = scores([0.0, 0.0, 0.0]), scores([5.0, -2.0, 0.0])
    other["predicted"] *= 1 + other["fold"]
    found = [
        spearman_by_arm(t, "score", "predicted", 200)[["value", "low", "high", "seed_sd"]]
        for t in (one, other)
    ]
    pd.testing.assert_frame_equal(*found)


def test_the_interval_is_that_of_a_loop_which_ranks_drawn_patients_anew():
    table, draws = scores([0.0, 1.0], patients=20, seeds=1), 60
    (row,) = spearman_by_arm(table, "score", "predicted", draws).to_dict("records")
    z = []
    for weights in patient_weights(20, draws):
        drawn = pd.concat([table[table["patient"] == p] for p in range(20) for _ in range(int(weights[p]))])
        parts = [(spearmanr(g["score"], g["predicted"]).statistic, len(g)) for _, g in drawn.groupby("fold")]
        r, n = (np.array(column) for column in zip(*parts, strict=True))
        z.append((np.arctanh(r) * n).sum() / n.sum())
    moved = np.tanh(np.array(z) - np.mean(z) + np.arctanh(row["value"]))
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(moved, [0.025, 0.975])), abs=1e-6)


def test_a_larger_fold_counts_for_more_and_an_encoder_that_collapsed_leaves_no_value():
    assert fisher_mean(np.array([0.2, 0.8]), np.array([1.0, 1e9])) == pytest.approx(0.8)
    assert np.isfinite(fisher_mean(np.array([1.0, np.nan]), np.array([4.0, 4.0])))
    table = scores([0.0, 0.0])
    table.loc[(table["fold"] == 1) & (table["seed"] == 0), "predicted"] = 0.5
    assert spearman_by_arm(table, "score", "predicted", 100).empty
