"""What an ensemble learns from its out-of-fold predictions, and how it is judged."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from analysis.results.parquet_tables import PROBABILITIES
from analysis.statistics.ensemble import Ensemble, OutOfFold, fold_means
from analysis.statistics.ensemble_quality import cross_fitted, external, judged, summary
from analysis.statistics.temperature import Temperature
from tests.analysis.statistics.test_conformal import simulated

FOLDS, SEEDS, REPEATS, PATIENTS = 3, 2, 2, 30


def ledger(seed: int = 0, skill: float = 2.0, sharpen: float = 1.0) -> pd.DataFrame:
    """An arm's rows: every patient in one fold of each repeat."""
    rng = np.random.default_rng(seed)
    p, y, patient = simulated(rng, PATIENTS, REPEATS * FOLDS * SEEDS, skill)
    p = p**sharpen / (p**sharpen).sum(-1, keepdims=True)
    runs, of_run = [], 0
    for repeat in range(REPEATS):
        fold_of = rng.permutation(np.arange(PATIENTS) % FOLDS)[patient]
        for fold in range(FOLDS):
            for s in range(SEEDS):
                own = np.flatnonzero(fold_of == fold)
                rows = pd.DataFrame(p[of_run][own], columns=PROBABILITIES)
                names = {"patient": [f"p{i}" for i in patient[own]], "pair": [f"x{i}" for i in own]}
                where = {"repeat": repeat, "fold": fold, "seed": s, "y_true": y[own]}
                runs.append(rows.assign(**names, **where))
                of_run += 1
    return pd.concat(runs, ignore_index=True)


def test_seeds_are_averaged_and_the_order_of_rows_does_not_matter() -> None:
    rows = ledger()
    known = OutOfFold.of(rows)
    assert len(known.y) == len(rows) / SEEDS and known.patients == PATIENTS
    assert known.folds == tuple((r, f) for r in range(REPEATS) for f in range(FOLDS))
    assert known.weight.sum() == pytest.approx(PATIENTS)
    again = OutOfFold.of(rows.sample(frac=1, random_state=1))
    np.testing.assert_allclose(again.p, known.p)
    assert (again.patient == known.patient).all() and (again.fold == known.fold).all()


def test_calibration_is_of_the_mean_over_repeats_and_each_pair_counts_once() -> None:
    known = OutOfFold.of(ledger())
    pairs = np.unique(known.pair)
    p = np.stack([known.p[known.pair == each].mean(0) for each in pairs])
    y = np.array([known.y[known.pair == each][0] for each in pairs])
    patient = np.array([known.patient[known.pair == each][0] for each in pairs])
    weight = 1 / np.bincount(patient)[patient]
    expected = Temperature.fit(p, y, weight)
    found = Ensemble.of(known).temperature
    assert found.exponent == pytest.approx(expected.exponent) and len(pairs) == len(known.y) / REPEATS
    np.testing.assert_allclose(found.shares, expected.shares)


def test_probabilities_sum_to_one_and_the_most_probable_class_is_always_in_the_set() -> None:
    known = OutOfFold.of(ledger())
    p = np.random.default_rng(3).dirichlet(np.ones(3), (FOLDS * REPEATS, 40))
    for level in (0.05, 0.5, 0.9):
        found = Ensemble.of(known).predict(p, level)
        np.testing.assert_allclose(found.calibrated.sum(1), 1)
        assert found.sets[np.arange(40), found.calibrated.argmax(1)].all()


def test_runs_are_averaged_within_folds_so_that_a_lost_seed_counts_no_less() -> None:
    p = np.array([1.0, 0.0, 0.5])[:, None, None] * np.ones((3, 2, 3))
    found = fold_means(p, [(0, 0), (0, 0), (0, 1)], ((0, 1), (0, 0)))
    np.testing.assert_allclose(found[:, 0, 0], [0.5, 0.5])


def test_too_certain_predictions_are_better_after_calibration_of_other_patients() -> None:
    known = OutOfFold.of(ledger(sharpen=6.0))
    found = summary(cross_fitted(known, 0.8))
    assert found["brier_after"][0] < found["brier_before"][0] and found["brier_gain"][2] < 0
    assert found["nll_after"][0] < found["nll_before"][0]
    assert found["covered"][1] < 0.8 + 0.1 and found["covered"][2] > 0.8


def test_nobody_is_judged_by_a_calibration_on_himself() -> None:
    """The labels of one fold change nothing but how its own predictions are judged."""
    rows = ledger()
    first = (rows["repeat"] == 0) & (rows["fold"] == 0)
    other = rows.assign(y_true=rows["y_true"].where(~first, (rows["y_true"] + 1) % 3))
    known, changed = OutOfFold.of(rows), OutOfFold.of(other)
    own = known.fold == 0
    before, after = (cross_fitted(each, 0.8)[: own.sum()] for each in (known, changed))
    np.testing.assert_allclose(before["size"], after["size"])
    np.testing.assert_allclose(cross_fitted(known, 0.8)["brier_before"][: own.sum()], before["brier_before"])


def test_an_external_cohort_is_predicted_by_all_runs() -> None:
    rows, rng = ledger(), np.random.default_rng(5)
    new = pd.DataFrame({"patient": ["a", "a", "b"], "pair": ["1", "2", "3"], "y_true": [0, 1, 2]})
    runs = []
    for r, f, s in itertools.product(range(REPEATS), range(FOLDS), range(SEEDS)):
        p = pd.DataFrame(rng.dirichlet(np.ones(3), 3), columns=PROBABILITIES)
        runs.append(new.join(p).assign(repeat=r, fold=f, seed=s))
    ensemble = Ensemble.of(OutOfFold.of(rows))
    found = external(ensemble, pd.concat(runs).sample(frac=1, random_state=0), 0.9)
    p = np.mean([run[PROBABILITIES].to_numpy() for run in runs], axis=0)
    np.testing.assert_allclose(found["brier_before"], ((p - np.eye(3)) ** 2).sum(1))
    assert found["patient"].tolist() == [0, 0, 1]


def test_brier_and_coverage_by_hand() -> None:
    from analysis.statistics.ensemble import Predicted

    raw, calibrated = np.array([[0.6, 0.3, 0.1]]), np.array([[0.5, 0.3, 0.2]])
    found = judged(Predicted(raw, calibrated, np.array([[True, False, True]])), np.array([1]), np.array([0]))
    assert found["brier_before"][0] == pytest.approx(0.36 + 0.49 + 0.01)
    assert found["brier_after"][0] == pytest.approx(0.25 + 0.49 + 0.04)
    assert (found["covered"][0], found["size"][0], found["all"][0]) == (0, 2, 0)
