"""The variance of an estimate against closed forms, and the rules that hold whatever the numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_results import make_ledger
from scipy import stats

from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.estimate import Estimate, estimate, estimated, with_family_noise
from analysis.statistics.metrics import METRICS

ACCURACY, MACRO_F1 = METRICS["accuracy"], METRICS["macro_f1"]


def _ledger(correct, fold=0, repeat=0, seed=0, arm="a"):
    """One pair a patient, of class same; wrong ones are called worse."""
    n = len(correct)
    rows = {"arm": arm, "repeat": repeat, "fold": fold, "seed": seed, "patient": np.arange(n)}
    return pd.DataFrame({**rows, "y_true": 1, "y_pred": np.where(correct, 1, 0)})


def test_patients_alone_give_the_standard_error_of_a_mean():
    """One fold, one seed: nothing but patients can be seen."""
    correct = np.random.default_rng(0).random(50) < 0.7
    found = estimate(confusion_counts(_ledger(correct)), {"a": 1.0}, ACCURACY)
    assert found.value == pytest.approx(correct.mean())
    assert found.scale == pytest.approx(stats.sem(correct), rel=1e-9)
    assert np.isnan(found.training) and found.seeds == 0


def test_two_arms_of_the_same_patients_are_paired():
    rng = np.random.default_rng(1)
    first, second = rng.random(80) < 0.7, rng.random(80) < 0.6
    ledger = pd.concat([_ledger(first), _ledger(second, arm="b")])
    found = estimate(confusion_counts(ledger), {"a": 1.0, "b": -1.0}, ACCURACY)
    assert found.scale == pytest.approx(stats.sem(first.astype(float) - second), rel=1e-9)


def test_folds_of_one_repeat_show_training_as_the_t_over_folds_does():
    """Runs so unequal that the folds' spread exceeds the patients' part: the plain t over five folds."""
    rng = np.random.default_rng(2)
    fold = np.arange(200) % 5
    correct = rng.random(200) < np.array([0.95, 0.2, 0.8, 0.3, 0.6])[fold]
    found = estimate(confusion_counts(_ledger(correct, fold=fold)), {"a": 1.0}, ACCURACY)
    by_fold = pd.Series(correct.astype(float)).groupby(fold).mean()
    assert found.scale == pytest.approx(stats.sem(by_fold), rel=1e-6)
    assert found.degrees == 4


def test_seeds_that_move_whole_runs_are_seen():
    """Runs right or wrong on all patients alike: the patients differ by nothing, seeds by everything."""
    right = [True, True, False, True]
    ledger = pd.concat([_ledger(np.full(30, r), seed=s) for s, r in enumerate(right)])
    found = estimate(confusion_counts(ledger), {"a": 1.0}, ACCURACY)
    of_runs, of_pairs = np.var(right, ddof=1) / 4, np.var(right, ddof=1) / 4 / 30
    assert found.patients == pytest.approx(0, abs=1e-12)
    assert found.seeds == pytest.approx(of_runs - of_pairs, rel=1e-6)


def test_repeats_show_training_without_the_patients():
    """Mean over many draws: the variance that repeats show is the one that was planted in their runs."""
    rng = np.random.default_rng(3)
    folds, repeats, patients, sd, seen = 5, 3, 100, 0.5, []
    numbers = np.repeat(np.arange(repeats), 1)
    for _ in range(400):
        fold = np.stack([rng.permutation(np.arange(patients) % folds) for _ in range(repeats)])
        of_run = sd * rng.normal(size=(repeats, folds))
        values = rng.normal(size=patients) + np.take_along_axis(of_run, fold, axis=1)
        influence = (values - values.mean()) / patients
        seen.append(estimated(0.0, influence, fold, numbers).training)
    assert np.mean(seen) == pytest.approx(sd**2 / (folds * repeats), rel=0.1)


def test_a_patient_that_outweighs_all_others_leaves_few_degrees_of_freedom():
    influence = np.full((1, 40), -1 / 39)
    influence[0, 0] = 1.0
    found = estimated(0.0, influence, np.zeros((1, 40), dtype=int), np.zeros(1, dtype=int))
    assert found.patients_degrees < 3
    alike = estimated(
        0.0, np.resize([1.0, -1.0], (1, 40)), np.zeros((1, 40), dtype=int), np.zeros(1, dtype=int)
    )
    assert alike.patients_degrees > 39


@pytest.mark.parametrize("repeats", [1, 2])
def test_names_and_order_do_not_matter(repeats):
    ledger = make_ledger({"mse": 0, "weighted": 0.5}, patients=40, seeds=2, repeats=repeats)
    other = ledger.assign(
        seed=1 - ledger["seed"], fold=4 - ledger["fold"], patient="z" + ledger["patient"].str[::-1]
    ).sample(frac=1, random_state=0)
    found, again = (
        estimate(confusion_counts(t, ("weighted", "mse")), {"weighted": 1.0, "mse": -1.0}, MACRO_F1)
        for t in (ledger, other)
    )
    assert [again.value, again.scale, again.degrees] == pytest.approx(
        [found.value, found.scale, found.degrees], rel=1e-9
    )


variances = st.floats(0, 1)


@given(
    value=st.floats(-1, 1), patients=st.floats(1e-6, 1), seeds=variances, training=st.floats(-1, 1),
    one_repeat=st.booleans(), level=st.floats(0.5, 0.99),
)  # fmt: skip
def test_the_interval_excludes_zero_exactly_where_p_is_small(
    value, patients, seeds, training, one_repeat, level
):
    found = Estimate(
        value=value, patients=patients, patients_degrees=30, seeds=seeds, seeds_degrees=10,
        training=training, training_degrees=4, one_repeat=one_repeat,
    )  # fmt: skip
    low, high = found.interval(level)
    if abs(found.p - (1 - level)) > 1e-9:
        assert (low > 0 or high < 0) == (found.p < 1 - level)
    assert found.variance >= patients + seeds and 1 <= found.degrees <= 44


def _steady(training):
    return Estimate(
        value=0.1, patients=1.0, patients_degrees=100, training=training, training_degrees=4, seeds_degrees=10
    )


def test_a_family_lends_its_mean_inflation_to_those_that_show_less():
    shared = with_family_noise([_steady(-0.5), _steady(0.5), _steady(4.0)])
    mean = np.mean([0.5, 1.5, 5.0])
    assert [e.variance for e in shared] == pytest.approx([mean, mean, 5.0])
    assert shared[0].degrees == pytest.approx(4 * 3 / 1.5) and shared[2].degrees == 4


def test_one_arm_alone_is_no_family():
    alone = _steady(-0.5)
    assert with_family_noise([alone]) == [alone] and alone.variance == 1.0


def test_few_folds_of_one_seed_may_hide_training_noise():
    """The fewer folds, the larger the share of the patients' part that is put in its place."""
    five, three = (replace(_steady(-0.5), seeds_degrees=0, training_degrees=k) for k in (4, 2))
    assert (five.variance, three.variance) == (1.25, 1.5)
    assert three.degrees < five.degrees < 100


def test_what_is_not_defined_has_neither_p_nor_interval():
    found = replace(_steady(0.0), patients=float("nan"))
    assert np.isnan(found.p) and np.isnan(found.interval()).all()
