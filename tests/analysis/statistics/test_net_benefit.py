"""Net benefit equals hand-computed and closed forms."""

import numpy as np
import pandas as pd
import pytest
from make_results import make_ledger

from analysis.statistics.bootstrap import patient_weights
from analysis.statistics.net_benefit import THRESHOLDS, TREAT_ALL, band_half_width, net_benefit


def ledger_of(p, worse, patient=None):
    return pd.DataFrame(
        {"arm": "a", "patient": patient or [f"p{i}" for i in range(len(p))], "p_worse": p,
         "y_true": np.where(worse, 0, 1)}
    )  # fmt: skip


def at(table, arm, threshold, column="value"):
    rows = table[(table["arm"] == arm) & np.isclose(table["threshold"], threshold)]
    return float(rows[column].iloc[0])


def test_net_benefit_of_five_pairs_by_hand():
    table = net_benefit(ledger_of([0.9, 0.4, 0.3, 0.2, 0.1], [1, 0, 1, 0, 0]), draws=100)
    assert at(table, "a", 0.25) == pytest.approx(2 / 5 - 1 / 5 * 0.25 / 0.75)
    assert at(table, "a", 0.5) == pytest.approx(1 / 5)
    assert at(table, "a", 0.3, "acted") == pytest.approx(3 / 5), "a probability equal to t is acted on"
    assert at(table, TREAT_ALL, 0.25) == pytest.approx(2 / 5 - 3 / 5 * 0.25 / 0.75)


def test_acting_on_all_and_perfect_foresight_have_closed_forms():
    ledger = make_ledger({"mse": 0.0})
    prevalence = (ledger["y_true"] == 0).mean()
    table = net_benefit(ledger.assign(p_worse=(ledger["y_true"] == 0) * 1.0), draws=100)
    odds = THRESHOLDS / (1 - THRESHOLDS)
    values = {arm: own["value"].to_numpy() for arm, own in table.groupby("arm")}
    assert values[TREAT_ALL] == pytest.approx(prevalence - (1 - prevalence) * odds)
    assert values["mse"] == pytest.approx(np.full(len(odds), prevalence))


def test_a_draw_takes_all_pairs_of_a_patient():
    ledger = ledger_of([0.9, 0.1, 0.8, 0.1], [1, 0, 0, 0], ["x", "x", "y", "y"])
    table = net_benefit(ledger, draws=4000)
    weights = patient_weights(2, 4000)
    drawn = np.array([(w[0] - w[1]) / (2 * w.sum()) for w in weights])  # at t = 0.5 the odds are 1
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (at(table, "a", 0.5, "low"), at(table, "a", 0.5, "high")) == pytest.approx((low, high), abs=1e-6)


def test_differences_are_with_the_better_default_and_the_control():
    table = net_benefit(make_ledger({"mse": 0.0, "control": -1.5}), "control", draws=200)
    for t in (0.1, 0.4):
        best = max(0.0, at(table, TREAT_ALL, t))
        assert at(table, "mse", t, "default_value") == pytest.approx(at(table, "mse", t) - best)
        ahead = at(table, "mse", t) - at(table, "control", t)
        assert at(table, "mse", t, "control_value") == pytest.approx(ahead)
        assert at(table, "control", t, "control_value") == 0


def test_the_band_holds_95_percent_of_whole_curves():
    curves = np.cumsum(np.random.default_rng(0).normal(size=(4000, 20)), axis=1)
    half = band_half_width(curves)
    inside = (np.abs(curves - curves.mean(0)) <= half + 1e-12).all(1).mean()
    assert inside == pytest.approx(0.95, abs=0.005)
    assert (half >= 1.96 * curves.std(0)).all(), "all points at once need more room than one"
    assert (band_half_width(np.zeros((50, 3))) == 0).all()


def test_without_rows_there_is_no_curve():
    assert net_benefit(ledger_of([], [])).empty
