"""Test statistics against scipy, statsmodels and plain loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_results import make_ledger
from scipy import stats

from analysis.statistics.bootstrap import interval, p_value, patient_weights, resampled
from analysis.statistics.compare import compare_counts, contrast
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.corrected_t import equivalence, nadeau_bengio
from analysis.statistics.metrics import METRICS
from analysis.statistics.verdict import holm, weaker

unit = st.floats(1e-6, 1)


@given(st.lists(unit, min_size=1, max_size=12))
def test_holm_steps_down_through_the_ordered_p_values(p):
    expected, largest = np.empty(len(p)), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        expected[index] = largest
    np.testing.assert_allclose(holm(np.array(p)), expected, rtol=1e-12)


@pytest.mark.parametrize("p", [[0.04], [0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.01, 0.9]])
def test_holm_equals_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    np.testing.assert_allclose(holm(np.array(p)), multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_counts_arms_that_did_not_run():
    got = holm(np.array([0.01, np.nan, 0.04]), family=4)
    np.testing.assert_allclose(got, [0.04, np.nan, 0.12])


def test_corrected_t_without_overlap_is_the_one_sample_t():
    d = np.random.default_rng(0).normal(0.1, 1, 15)
    test = nadeau_bengio(d, 1e-12)
    assert test.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-9)


def test_corrected_t_follows_nadeau_and_bengio():
    d = np.random.default_rng(1).normal(0.1, 1, 15)
    test = nadeau_bengio(d, 1 / 5)
    t = d.mean() / np.sqrt((1 / 15 + 0.25) * d.var(ddof=1))
    assert test.p == pytest.approx(2 * stats.t.sf(abs(t), 14), rel=1e-12)
    assert np.isnan(nadeau_bengio(d[:1], 1 / 5).p)


def test_bayesian_posterior_is_the_same_t_seen_from_the_other_side():
    test = nadeau_bengio(np.random.default_rng(2).normal(0.05, 0.1, 15), 1 / 5)
    worse, same, better = equivalence(test, 0.0)
    assert same == pytest.approx(0, abs=1e-12)
    assert 2 * min(worse, better) == pytest.approx(test.p, rel=1e-9)
    draws = stats.t(test.degrees, test.mean, test.scale).rvs(200_000, random_state=0)
    expected = [(draws < -0.02).mean(), (abs(draws) <= 0.02).mean(), (draws > 0.02).mean()]
    np.testing.assert_allclose(equivalence(test, 0.02), expected, atol=0.005)


def _slow_macro_f1(pairs):
    scores = []
    for c in range(3):
        tp = sum(w for y, z, w in pairs if y == c and z == c)
        fp = sum(w for y, z, w in pairs if y != c and z == c)
        fn = sum(w for y, z, w in pairs if y == c and z != c)
        scores.append(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
    return sum(scores) / 3


def test_bootstrap_equals_a_loop_over_drawn_patients():
    """The same draws, computed patient by patient from the ledger's rows: equal to 1e-6 (float32 sums)."""
    ledger = make_ledger({"mse": 0, "weighted": 0.5}, patients=25, seeds=2)
    confusions = confusion_counts(ledger)
    weights = patient_weights(25, 60, seed=3)
    fast = contrast(confusions, {"weighted": 1, "mse": -1}, weights, METRICS["macro_f1"])
    patients = sorted(ledger["patient"].unique())
    for draw in range(60):
        value = {}
        for arm, rows in ledger.groupby("arm"):
            weight = dict(zip(patients, weights[draw], strict=True))
            value[arm] = _slow_macro_f1(
                [(r.y_true, r.y_pred, float(weight[r.patient]) / 2) for r in rows.itertuples()]
            )
        assert fast[draw] == pytest.approx(value["weighted"] - value["mse"], abs=1e-6)


def test_bootstrap_interval_agrees_with_scipy():
    """One pair per patient makes the cluster bootstrap scipy's ordinary one; limits agree to 0.01."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, 200)
    z = np.where(rng.random(200) < 0.6, y, rng.integers(0, 3, 200))
    counts = np.zeros((200, 3, 3))
    counts[np.arange(200), y, z] = 1
    got = interval(METRICS["macro_f1"].compute(resampled(patient_weights(200), counts)))

    def statistic(index, axis=-1):
        return METRICS["macro_f1"].compute(counts[index].sum(axis if axis >= 0 else index.ndim - 1))

    expected = stats.bootstrap(
        (np.arange(200),), statistic, n_resamples=5000, method="percentile", batch=500, rng=5
    ).confidence_interval
    np.testing.assert_allclose(got, expected, atol=0.01)


def test_p_value_counts_both_tails_and_is_never_zero():
    assert p_value(np.full(999, 0.3)) == pytest.approx(2 / 1000)
    assert p_value(np.zeros(999)) == 1.0
    assert p_value(np.array([-1.0, 1, 1, 1])) == pytest.approx(2 * 2 / 5)


def test_identical_arms_differ_by_nothing():
    ledger = make_ledger({"mse": 0})
    twin = ledger.assign(arm="twin")
    confusions = confusion_counts(pd.concat([ledger, twin]))
    tests = compare_counts(confusions, reference="mse", family=("twin",), draws=500).tests.iloc[0]
    assert tests["difference"] == 0 and tests["p"] == 1 and tests["verdict"] == "not supported"


def test_a_run_that_is_not_there_leaves_no_test():
    """What is left of the others would be an average over what survived."""
    ledger = make_ledger({"mse": 0, "weighted": 0.5}, seeds=2)
    lost = (ledger["arm"] == "weighted") & (ledger["fold"] == 0) & (ledger["seed"] == 1)
    confusions = confusion_counts(ledger[~lost], ("mse", "weighted"))
    tests = compare_counts(confusions, reference="mse", family=("weighted",), folds=5, draws=200).tests
    assert tests["verdict"].item() == "not tested" and np.isnan(tests["p"].item())


def test_a_metric_that_is_not_defined_in_one_fold_leaves_no_test():
    ledger = make_ledger({"mse": 0, "weighted": 0.5}, seeds=1)
    never_worse = ledger.assign(y_true=ledger["y_true"].where(ledger["fold"] != 2, 1))
    options = {"reference": "mse", "family": ("weighted",), "primary": METRICS["recall_worse"], "draws": 200}
    whole = compare_counts(confusion_counts(ledger), **options).tests.iloc[0]
    undefined = compare_counts(confusion_counts(never_worse), **options).tests.iloc[0]
    assert np.isfinite(whole["p"])
    assert np.isnan(undefined["p"]) and undefined["verdict"] == "not tested"


def _with_failed(ledger, failed, p=(0.3, 0.4, 0.3)):
    """The majority class stands for some rows."""
    names = ["y_pred", "p_worse", "p_same", "p_better"]
    ledger = ledger.assign(imputed=failed)
    ledger.loc[failed, names] = [1, *p]
    return ledger


def test_other_predictions_put_in_are_the_same_statistic_of_an_edited_ledger():
    ledger = make_ledger({"mse": 0, "weighted": 0.5}, seeds=2, repeats=2)
    failed = (ledger["arm"] == "mse") & (ledger["fold"] < 2) & (ledger["seed"] == 0)
    found = compare_counts(
        confusion_counts(_with_failed(ledger, failed)), reference="mse", family=("weighted",), draws=200
    ).tests.iloc[0]
    edited = ledger.copy()
    twin = (ledger["arm"] == "weighted") & (ledger["fold"] < 2) & (ledger["seed"] == 0)
    edited.loc[failed, "y_pred"] = ledger.loc[twin, "y_pred"].to_numpy()
    expected = compare_counts(
        confusion_counts(edited), reference="mse", family=("weighted",), draws=200
    ).tests.iloc[0]
    assert [found[f"{name}_put_in"] for name in ("difference", "p", "p_holm")] == pytest.approx(
        [expected[name] for name in ("difference", "p", "p_holm")], rel=1e-12
    )


def test_a_reference_all_of_whose_runs_failed_makes_nobody_better():
    ledger = make_ledger({"mse": 0, "weighted": 0.5}, patients=120)
    dead = _with_failed(ledger, ledger["arm"] == "mse")
    tests = compare_counts(
        confusion_counts(dead), reference="mse", family=("weighted",), draws=500
    ).tests.iloc[0]
    assert tests["verdict_counted"] == "supported" and tests["difference"] > 0.1
    assert tests["verdict"] == "not supported" and tests["difference_put_in"] == 0


def test_an_arm_cannot_gain_by_failing():
    """Bad folds that die must not raise an arm's value, as leaving them out does."""
    ledger = make_ledger({"mse": 0.5, "weighted": 0.5}, patients=120)
    rows = ledger[ledger["arm"] == "weighted"]
    right = (rows["y_true"] == rows["y_pred"]).groupby([rows["fold"], rows["seed"]]).mean()
    worst = set(right.nsmallest(5).index)
    of_run = list(zip(ledger["fold"], ledger["seed"], strict=True))
    failed = (ledger["arm"] == "weighted") & pd.Series([run in worst for run in of_run], ledger.index)
    counted = compare_counts(
        confusion_counts(_with_failed(ledger, failed)), reference="mse", family=("weighted",), draws=200
    )
    whole = compare_counts(confusion_counts(ledger), reference="mse", family=("weighted",), draws=200)
    assert counted.tests["difference"].item() < whole.tests["difference"].item()


def test_the_weaker_of_two_verdicts_stands():
    assert weaker("supported", "not supported") == "not supported"
    assert weaker("not tested", "supported") == "not tested"


@pytest.mark.parametrize("metric", ["accuracy", "class_mae"])
def test_practically_better_is_better_in_the_direction_of_the_metric(metric):
    """Seen: of errors, fewer were called worse."""
    confusions = confusion_counts(make_ledger({"mse": 0.0, "weighted": 1.5}))
    options = {"reference": "mse", "family": ("weighted",), "draws": 100}
    row = compare_counts(confusions, primary=METRICS[metric], **options).tests.iloc[0]
    assert row["rope_better"] > 0.9 > 0.1 > row["rope_worse"]
    assert (row["difference"] > 0) == METRICS[metric].higher_is_better
