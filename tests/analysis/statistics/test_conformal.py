"""Sets hold the true class as often as promised, whatever the models are worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis.statistics.conformal import conformal_p, least_patients, prediction_sets


def simulated(rng: np.random.Generator, patients: int, folds: int, skill: float) -> tuple[np.ndarray, ...]:
    """Pairs of patients, of whom each has one to four and a bias of their own, and models of some folds.

    Returns:
        Probabilities by every fold's models (folds, pairs, classes), true classes and patients (pairs,).
    """
    patient = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    y = rng.choice(3, len(patient), p=[0.2, 0.5, 0.3])
    shared = rng.normal(size=(patients, 3))[patient] + rng.normal(size=(len(patient), 3))
    models = 0.5 * rng.normal(size=(folds, 1, 3)) + 0.5 * rng.normal(size=(folds, len(patient), 3))
    logits = skill * np.eye(3)[y] + shared + models
    p = np.exp(logits)
    return p / p.sum(-1, keepdims=True), y, patient


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("skill", [0.0, 2.0])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_a_new_patients_pair_lies_in_its_set_as_often_as_promised(
    folds: int, skill: float, level: float
) -> None:
    """One pair, drawn at random, of a patient who is exchangeable with 24 others."""
    rng, studies, covered = np.random.default_rng(0), 600, 0
    for _ in range(studies):
        p, y, patient = simulated(rng, 25, folds, skill)
        old = patient < 24
        chosen = rng.choice(np.flatnonzero(~old))
        fold = patient[old] % folds
        sets = prediction_sets(
            p[fold, np.flatnonzero(old)], y[old], fold, patient[old], p[:, [chosen]], level
        )
        covered += bool(sets[0, y[chosen]])
    assert covered >= binom.ppf(0.001, studies, level), covered / studies


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), folds=st.integers(1, 4), patients=st.integers(4, 15))
def test_it_is_what_a_plain_loop_computes_in_any_order_and_grows_with_the_level(
    seed: int, folds: int, patients: int
) -> None:
    rng = np.random.default_rng(seed)
    p, y, patient = simulated(rng, patients, folds, 1.0)
    p = p.round(1)  # ties
    fold, own = patient % folds, np.arange(len(y))
    known, new = p[fold, own], p[:, :3]
    order = rng.permutation(len(y))
    smaller = np.zeros((3, 3), bool)
    for level in (0.5, 0.7, 0.8, 0.95):
        found = prediction_sets(known, y, fold, patient, new, level)
        assert (found >= smaller).all()
        smaller = found
        shuffled = prediction_sets(known[order], y[order], fold[order], patient[order], new, level)
        assert (found == shuffled).all()
        for pair in range(3):
            for c in range(3):
                share = 1.0
                for who in np.unique(patient):
                    rows = np.flatnonzero(patient == who)
                    share += np.mean([1 - known[i, y[i]] >= 1 - new[fold[i], pair, c] for i in rows])
                assert found[pair, c] == (share / (patients + 1) > 1 - level + 1e-9)


def test_too_few_patients_rule_nothing_out() -> None:
    sure = np.array([[[0.98, 0.01, 0.01]]])
    assert [least_patients(level) for level in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]
    for patients in (8, 9):
        who = np.arange(patients)
        p, zeros = np.tile(sure[0], (patients, 1)), np.zeros(patients, np.int64)
        found = prediction_sets(p, zeros, zeros, who, sure, 0.9)
        assert found.sum() == (3 if patients == 8 else 1)


def test_a_patient_with_many_pairs_counts_as_one() -> None:
    scores, patient = np.array([1.0] * 50 + [0.0]), np.array([0] * 50 + [1])
    assert conformal_p(scores, np.zeros(51, np.int64), patient, np.array([0.5])) == pytest.approx(2 / 3)
