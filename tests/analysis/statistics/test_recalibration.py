"""Calibration intercept and slope equal statsmodels' and find what was planted."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from make_results import make_ledger
from scipy.special import expit

from analysis.statistics.bootstrap import patient_weights
from analysis.statistics.recalibration import FEWEST_EVENTS, intercept, recalibration, slope


def planted(patients=400, b=0.5, runs=4, seed=0):
    """Two rows a patient; logits too extreme by 1 / b, and each run's shifted by an amount of its own."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), 2)
    run = who % runs
    x = 1.5 * rng.normal(size=len(who))
    y = (rng.uniform(size=len(who)) < expit(b * x)).astype(float)
    return x + np.linspace(-4, 4, runs)[run], y, run.astype(np.int64), who.astype(np.int64)


ONE = np.ones((1, 400), dtype=np.float32)


def test_slope_and_intercept_equal_statsmodels():
    x, y, run, who = planted()
    dummies = np.eye(4)[run]
    logit = sm.Logit(y, np.column_stack([x, dummies])).fit(disp=0)
    assert slope(x, y, run, who, ONE)[0] == pytest.approx(logit.params[0], abs=1e-6)
    offset = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), offset=x).fit()
    assert intercept(x, y, who, ONE)[0] == pytest.approx(offset.params[0], abs=1e-6)


def test_the_slope_is_one_within_runs():
    """Runs whose logits are shifted: pooled, the slope is far too low, within them it is the planted one."""
    x, y, run, who = planted(patients=4000, seed=1)
    weights = np.ones((1, 4000), dtype=np.float32)
    assert slope(x, y, run, who, weights)[0] == pytest.approx(0.5, abs=0.05)
    assert slope(x, y, np.zeros_like(run), who, weights)[0] < 0.2


def test_one_newton_step_has_the_spread_of_whole_fits():
    x, y, run, who = planted(seed=2)
    weights = patient_weights(400, 60)
    family, design = sm.families.Binomial(), np.column_stack([x, np.eye(4)[run]])
    fits = [sm.GLM(y, design, family=family, freq_weights=w).fit().params[0] for w in weights[:, who]]
    flat = [sm.GLM(y, 0 * x + 1, family=family, offset=x, freq_weights=w).fit().params[0]
            for w in weights[:, who]]  # fmt: skip
    for whole, step in ((fits, slope(x, y, run, who, weights)[1]), (flat, intercept(x, y, who, weights)[1])):
        assert np.corrcoef(whole, step)[0, 1] > 0.99
        assert np.std(step) == pytest.approx(np.std(whole), rel=0.1)


def test_the_interval_covers_a_planted_slope():
    hits, weights = 0, patient_weights(150, 400)
    for seed in range(100):
        x, y, run, who = planted(patients=150, b=0.8, seed=100 + seed)
        low, high = np.quantile(slope(x, y, run, who, weights)[1], [0.025, 0.975])
        hits += low <= 0.8 <= high
    assert hits >= 90


@pytest.mark.parametrize("case", ["equal within every run", "separated", "one class in every run"])
def test_a_slope_that_has_no_fit_is_not_given(case):
    x, y, run, who = planted()
    if case == "equal within every run":
        x = run.astype(float)
    elif case == "separated":
        x = np.where(y > 0, 1.0, -1.0)
    else:
        y = (run % 2).astype(float)
    value, drawn = slope(x, y, run, who, patient_weights(400, 10))
    assert np.isnan(value) and np.isnan(drawn).all()


def test_every_arm_and_class_has_a_row_and_the_majority_no_slope():
    ledger = make_ledger({"mse": 0.0, "majority": -9.0})
    table = recalibration(ledger, draws=200).set_index(["arm", "class"])
    assert len(table) == 6 and table.loc["majority", "slope"].isna().all()
    assert table.loc["mse", "slope"].notna().all()
    inside = (table["slope_low"] <= table["slope"]) & (table["slope"] <= table["slope_high"])
    assert inside.loc["mse"].all()


def test_rare_classes_have_no_estimate():
    ledger = make_ledger({"mse": 0.0})
    pairs = ledger.loc[ledger["y_true"] == 0, "pair"].unique()
    few = ledger[~ledger["pair"].isin(pairs[FEWEST_EVENTS - 1 :])]
    table = recalibration(few, draws=100).set_index("class")
    assert table.loc["worse", "events"] == FEWEST_EVENTS - 1
    assert table.loc["worse", ["slope", "intercept"]].isna().all() and table.loc["same", "slope"] > 0


def test_equal_rows_in_other_order_give_equal_numbers():
    ledger = make_ledger({"mse": 0.0})
    shuffled = ledger.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(recalibration(ledger, 100), recalibration(shuffled, 100), atol=1e-5)
