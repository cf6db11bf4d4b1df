"""Metrics of runs' rows equal scikit-learn's, and are estimated by the engine behind the verdicts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from make_results import make_ledger
from scipy.stats import spearmanr
from sklearn import metrics as sk

from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.measured import of_counts, of_runs
from analysis.statistics.metrics import METRICS
from analysis.statistics.run_metrics import RUN_METRICS, RunMetric
from analysis.statistics.run_values import estimate_of, run_values

rows = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.integers(0, 3)),
    min_size=2,
    max_size=30,
)


@given(rows)
def test_weights_count_a_row_so_many_times_and_metrics_equal_scikit_learn(drawn):
    y, p, n = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))
    columns = {"y_true": y, "p_worse": p}
    worse, given_ = np.repeat(y == 0, n.astype(int)), np.repeat(p, n.astype(int))
    assume(len(worse))
    got = {name: RUN_METRICS[name].compute(columns, n[None]) for name in ("decline_auc", "decline_brier")}
    (auc,), (comparisons,) = got["decline_auc"]
    assert comparisons == worse.sum() * (~worse).sum()
    assert auc == pytest.approx(sk.roc_auc_score(worse, given_) if comparisons else np.nan, nan_ok=True)
    assert got["decline_brier"][0][0] == pytest.approx(np.mean((given_ - worse) ** 2), abs=1e-12)


def test_log_loss_equals_scikit_learn():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 50).astype(float), rng.uniform(0.05, 0.95, 50)
    values, _ = RUN_METRICS["decline_nll"].compute({"y_true": y, "p_worse": p}, np.ones((1, 50)))
    assert values[0] == pytest.approx(sk.log_loss(y == 0, p))


def planted(seed: int = 0, **size: int) -> pd.DataFrame:
    """Two arms that predict the change of score with noise, the second with less."""
    ledger = make_ledger({"mse": 0.0, "weighted": 0.8}, seed=seed, **size)
    rng = np.random.default_rng(seed)
    noise = np.where(ledger["arm"] == "mse", 120, 30) * rng.normal(size=len(ledger))
    return ledger.assign(change_pred=ledger["change"] + noise)


def recomputed(ledger: pd.DataFrame, metric: RunMetric, arm: str) -> float:
    """The metric by the plain way: every run, averaged over folds, then over rounds."""
    rounds = []
    for _, of_round in ledger[ledger["arm"] == arm].groupby(["repeat", "seed"]):
        runs = [
            metric.compute({n: run[n].to_numpy(float) for n in metric.needs}, np.ones((1, len(run))))
            for _, run in of_round.groupby("fold")
        ]
        values, weights = (np.concatenate(column) for column in zip(*runs, strict=True))
        rounds.append(metric.unscaled(np.average(metric.scaled(values), weights=weights)))
    return float(np.mean(rounds))


@pytest.mark.parametrize("name", RUN_METRICS)
def test_the_value_and_what_it_is_without_a_patient_are_those_of_the_remaining_rows(name):
    metric, ledger = RUN_METRICS[name], planted(patients=20, folds=2, seeds=2)
    values = run_values(ledger, metric, ("mse", "weighted"))
    assert values.by_round[0].mean() == pytest.approx(recomputed(ledger, metric, "mse"))
    for number, patient in enumerate(sorted(ledger["patient"].unique())[:5]):
        rest = ledger[ledger["patient"] != patient]
        assert values.without[1, :, number].mean() == pytest.approx(recomputed(rest, metric, "weighted"))


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_mean_has_the_interval_that_the_engine_gives_the_same_mean_as_counts(repeats):
    """Accuracy is both a metric of counts and a mean of rows."""
    ledger = make_ledger({"mse": 0.0, "weighted": 0.8}, repeats=repeats)
    wrong = ledger.assign(y_true=0.0, p_worse=(ledger["y_true"] == ledger["y_pred"]).astype(float))
    # (p - 1)^2 of a pair that counts as worse is 1 where the class was wrong.
    metric = RUN_METRICS["decline_brier"]
    of_rows = estimate_of(run_values(wrong, metric, ("mse", "weighted")), {"weighted": 1, "mse": -1})
    counts = of_counts(confusion_counts(ledger), METRICS["accuracy"]).estimate({"weighted": 1, "mse": -1})
    assert of_rows.value == pytest.approx(-counts.value, abs=1e-9)
    assert of_rows.scale == pytest.approx(counts.scale, rel=0.02)
    assert of_rows.degrees == pytest.approx(counts.degrees, rel=0.1)


@pytest.mark.parametrize("name", RUN_METRICS)
def test_the_influence_of_a_round_adds_up_to_how_it_differs_from_the_others(name):
    values = run_values(planted(repeats=2, seeds=2), RUN_METRICS[name], ("mse", "weighted"))
    differs = values.by_round - values.by_round.mean(1, keepdims=True)
    assert np.nansum(values.influence, -1) == pytest.approx(differs, abs=1e-9)


def test_auc_of_folds_is_that_of_all_comparisons_within_them():
    ledger = planted(patients=30, folds=3, seeds=1)
    own = ledger[ledger["arm"] == "mse"]
    won = total = 0.0
    for _, run in own.groupby("fold"):
        worse = run["y_true"] == 0
        n = int(worse.sum() * (~worse).sum())
        won, total = won + n * sk.roc_auc_score(worse, run["p_worse"]), total + n
    values = run_values(ledger, RUN_METRICS["decline_auc"], ("mse",))
    assert values.by_round[0, 0] == pytest.approx(won / total)


def test_a_fold_without_decline_says_nothing_of_auc():
    ledger = planted(patients=30, folds=3, seeds=1)
    ledger.loc[ledger["fold"] == 0, "y_true"] = 1
    values = run_values(ledger, RUN_METRICS["decline_auc"], ("mse",))
    others = run_values(ledger[ledger["fold"] != 0], RUN_METRICS["decline_auc"], ("mse",))
    assert values.by_round == pytest.approx(others.by_round)


def test_an_arm_that_orders_nobody_in_one_run_has_no_correlation():
    ledger = planted(seeds=2)
    ledger.loc[(ledger["fold"] == 1) & (ledger["seed"] == 1), "change_pred"] = 3.0
    found = of_runs(run_values(ledger, metric := RUN_METRICS["change_spearman"], ("mse",)), metric)
    (row,) = found.values(["mse"])
    assert np.isnan([row["value"], row["low"], row["high"]]).all()


def test_spearman_is_averaged_on_fishers_scale():
    ledger = planted(folds=2, seeds=1)
    own = ledger[ledger["arm"] == "mse"]
    runs = [(spearmanr(r["change"], r["change_pred"]).statistic, len(r)) for _, r in own.groupby("fold")]
    z = sum(n * np.arctanh(r) for r, n in runs) / sum(n for _, n in runs)
    values = run_values(ledger, RUN_METRICS["change_spearman"], ("mse",))
    assert values.by_round[0, 0] == pytest.approx(np.tanh(z))


@pytest.mark.parametrize("name", RUN_METRICS)
def test_a_planted_difference_is_seen_and_has_the_right_sign(name):
    metric = RUN_METRICS[name]
    found = of_runs(run_values(planted(patients=189), metric, ("mse", "weighted")), metric)
    (row,) = found.differences("mse", ["weighted"])
    assert row["p"] < 0.05 and metric.word(row["difference"]) == "better"
    assert row["low"] < row["difference"] < row["high"]
