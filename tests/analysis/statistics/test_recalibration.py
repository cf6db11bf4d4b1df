"""Calibration intercept and slope equal statsmodels' and find what was planted."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from make_results import make_ledger
from scipy.special import expit

from analysis.statistics.recalibration import FEWEST_EVENTS, intercept, recalibration, slope
from analysis.statistics.rounds import Rounds


def planted(patients=400, b=0.5, runs=4, seed=0):
    """Two rows a patient; logits too extreme by 1 / b, and each run's shifted by an amount of its own."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), 2)
    run = who % runs
    x = 1.5 * rng.normal(size=len(who))
    y = (rng.uniform(size=len(who)) < expit(b * x)).astype(float)
    return x + np.linspace(-4, 4, runs)[run], y, run.astype(np.int64), who.astype(np.int64)


def test_slope_and_intercept_equal_statsmodels():
    x, y, run, _ = planted()
    dummies = np.eye(4)[run]
    logit = sm.Logit(y, np.column_stack([x, dummies])).fit(disp=0)
    assert slope(x, y, run)[0] == pytest.approx(logit.params[0], abs=1e-6)
    offset = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), offset=x).fit()
    assert intercept(x, y)[0] == pytest.approx(offset.params[0], abs=1e-6)


def test_the_slope_is_one_within_runs():
    """Runs whose logits are shifted: pooled, the slope is far too low, within them it is the planted one."""
    x, y, run, _ = planted(patients=4000, seed=1)
    assert slope(x, y, run)[0] == pytest.approx(0.5, abs=0.05)
    assert slope(x, y, np.zeros_like(run))[0] < 0.2


def test_influences_give_the_variance_that_is_robust_to_clusters():
    """Liang and Zeger's: squares of what each patient adds to the estimate, as statsmodels has it."""
    x, y, run, who = planted(seed=2)
    robust = {"cov_type": "cluster", "cov_kwds": {"groups": who, "use_correction": False}}
    family = sm.families.Binomial()
    whole = sm.GLM(y, np.column_stack([x, np.eye(4)[run]]), family=family).fit(**robust)
    flat = sm.GLM(y, np.ones(len(y)), family=family, offset=x).fit(**robust)
    for (_, influence), fit in ((slope(x, y, run), whole), (intercept(x, y), flat)):
        assert influence.sum() == pytest.approx(0, abs=1e-8)
        of_patient = np.bincount(who, influence)
        assert np.sqrt((of_patient**2).sum()) == pytest.approx(fit.bse[0], rel=1e-6)


def test_the_interval_covers_a_planted_slope():
    hits = 0
    for seed in range(100):
        x, y, run, who = planted(patients=150, b=0.8, seed=100 + seed)
        rounds = Rounds.of(pd.DataFrame({"patient": who, "repeat": 0, "fold": run, "seed": 0}))
        low, high = rounds.estimate(*slope(x, y, run)).interval()
        hits += low <= 0.8 <= high
    assert hits >= 90


def test_runs_that_move_as_a_whole_widen_the_interval_of_the_intercept():
    """Seen: intervals of patients alone, which further runs left at once."""
    ledger = make_ledger({"mse": 0.0}, patients=120, seeds=1)
    steady = recalibration(ledger).set_index("class").loc["worse"]
    odds = np.log(ledger["p_worse"] / (1 - ledger["p_worse"])) + 2 * (ledger["fold"] % 2)
    moved = recalibration(ledger.assign(p_worse=expit(odds))).set_index("class").loc["worse"]
    width = {name: row["intercept_high"] - row["intercept_low"] for name, row in
             (("steady", steady), ("moved", moved))}  # fmt: skip
    assert width["moved"] > 1.5 * width["steady"]


@pytest.mark.parametrize("case", ["equal within every run", "separated", "one class in every run"])
def test_a_slope_that_has_no_fit_is_not_given(case):
    x, y, run, _ = planted()
    if case == "equal within every run":
        x = run.astype(float)
    elif case == "separated":
        x = np.where(y > 0, 1.0, -1.0)
    else:
        y = (run % 2).astype(float)
    value, influence = slope(x, y, run)
    assert np.isnan(value) and np.isnan(influence).all()


def test_every_arm_and_class_has_a_row_and_the_majority_no_slope():
    ledger = make_ledger({"mse": 0.0, "majority": -9.0})
    table = recalibration(ledger).set_index(["arm", "class"])
    assert len(table) == 6 and table.loc["majority", "slope"].isna().all()
    assert table.loc["mse", "slope"].notna().all()
    inside = (table["slope_low"] <= table["slope"]) & (table["slope"] <= table["slope_high"])
    assert inside.loc["mse"].all()


def test_rare_classes_have_no_estimate():
    ledger = make_ledger({"mse": 0.0})
    pairs = ledger.loc[ledger["y_true"] == 0, "pair"].unique()
    few = ledger[~ledger["pair"].isin(pairs[FEWEST_EVENTS - 1 :])]
    table = recalibration(few).set_index("class")
    assert table.loc["worse", "events"] == FEWEST_EVENTS - 1
    assert table.loc["worse", ["slope", "intercept"]].isna().all() and table.loc["same", "slope"] > 0


def test_equal_rows_in_other_order_give_equal_numbers():
    ledger = make_ledger({"mse": 0.0})
    shuffled = ledger.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(recalibration(ledger), recalibration(shuffled), atol=1e-5)
