"""Net benefit equals hand-computed and closed forms."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from make_results import make_ledger

from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.estimate import estimate
from analysis.statistics.net_benefit import THRESHOLDS, TREAT_ALL, band_factor, net_benefit


def ledger_of(p, worse, patient=None):
    return pd.DataFrame(
        {"arm": "a", "repeat": 0, "fold": 0, "seed": 0, "p_worse": p, "y_true": np.where(worse, 0, 1),
         "patient": patient or [f"p{i}" for i in range(len(p))]}
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


@pytest.mark.parametrize("repeats", [1, 2])
def test_intervals_are_those_of_the_estimate_behind_the_verdicts(repeats):
    """At t = 0.5 net benefit is a metric of confusion counts: hits less needless actions, per pair."""
    ledger = make_ledger({"mse": 0.0, "control": -1.0}, repeats=repeats)
    ledger["p_worse"] = (ledger["y_pred"] == 0) * 1.0
    table = net_benefit(ledger, "control", draws=100)
    hits = SimpleNamespace(compute=lambda c: (c[..., 0, 0] - c[..., 1:, 0].sum(-1)) / c.sum((-1, -2)))
    confusions = confusion_counts(ledger)
    for prefix, signs in (("", {"mse": 1.0}), ("control_", {"mse": 1.0, "control": -1.0})):
        expected = estimate(confusions, signs, hits)
        ends = [at(table, "mse", 0.5, f"{prefix}{end}") for end in ("value", "low", "high")]
        assert ends == pytest.approx([expected.value, *expected.interval()], rel=1e-4)
    # To act on all needs no run, so that nothing but patients is in its interval.
    alone = make_ledger({"mse": 0.0}, folds=1, seeds=1).assign(p_worse=1.0)
    whole = net_benefit(alone.assign(fold=alone["patient"].str[-1].astype(int) % 5), draws=100)
    one_fold = net_benefit(alone, draws=100)
    assert at(whole, TREAT_ALL, 0.3, "low") == at(one_fold, TREAT_ALL, 0.3, "low")


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
    away = np.abs(curves - curves.mean(0)) / curves.std(0)
    inside = (away <= band_factor(curves) * np.quantile(away, 0.95) + 1e-12).all(1).mean()
    assert inside == pytest.approx(0.95, abs=0.005)
    assert band_factor(curves) > 1, "all points at once need more room than one"
    assert band_factor(np.zeros((50, 3))) == 1


def test_without_rows_there_is_no_curve():
    assert net_benefit(ledger_of([], [])).empty
