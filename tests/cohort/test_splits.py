"""Every patient is tested once per repeat, apart from those trained on, in folds of like class mix."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.cohort import MMSE, Cohort, load, load_splits, make_splits, save_splits, splits_hash
from learner_ray.cohort.cohort import Scan, scan_table
from learner_ray.core.errors import UserError

CHANGES = (-5, 0, 5)


def make_cohort(classes):
    """A cohort in which patient i has pairs of the classes ``classes[i]``."""
    scans = []
    for i, of in enumerate(classes):
        scores = np.cumsum([15, *(CHANGES[c] for c in of)])
        scans += [
            Scan(
                scan=f"{i}-{v}",
                files=(),
                patient=f"P{i}",
                visit=str(v),
                order=float(v),
                score=float(score),
                source="",
                row=1,
            )
            for v, score in enumerate(scores)
        ]
    return Cohort(name="made up", modality="mri", score=MMSE, scans=scan_table(scans))


def class_counts(cohort, patients):
    pairs = cohort.pairs()
    return np.bincount(pairs.loc[pairs["patient"].isin(patients), "y"], minlength=3)


few_pairs = st.lists(st.integers(0, 2), max_size=3)
cohorts = st.lists(few_pairs, min_size=15, max_size=60).map(
    lambda drawn: make_cohort([*drawn, *([c] for c in range(3) for _ in range(6))])
)


@settings(max_examples=40)
@given(cohorts, st.integers(2, 5), st.integers(0, 5))
def test_patients_are_disjoint_complete_and_tested_once(cohort, folds, seed):
    made = make_splits(cohort, folds=folds, repeats=2, seed=seed)
    assert [(f.repeat, f.fold) for f in made] == [(r, k) for r in range(2) for k in range(folds)]
    everyone = list(cohort.patients)
    for fold in made:
        assert len(fold.parts) == 4
        assert sorted([*fold.test, *(p for part in fold.parts for p in part)]) == everyone
    for repeat in range(2):
        assert sorted(p for f in made if f.repeat == repeat for p in f.test) == everyone


@settings(max_examples=40)
@given(cohorts, st.integers(2, 5), st.integers(0, 5))
def test_classes_are_spread_as_evenly_as_whole_patients_allow(cohort, folds, seed):
    """No group is off its even share of a class by more than one patient can bring of it, here 3 pairs."""
    for fold in make_splits(cohort, folds=folds, repeats=1, seed=seed):
        off = class_counts(cohort, fold.test) - cohort.class_counts() / folds
        assert np.abs(off).max() <= 3
        training = sum(class_counts(cohort, part) for part in fold.parts)
        for part in fold.parts:
            assert np.abs(class_counts(cohort, part) - training / 4).max() <= 3


@settings(max_examples=20)
@given(cohorts, st.integers(0, 5))
def test_the_seed_decides_and_repeats_differ(cohort, seed):
    made = make_splits(cohort, folds=3, repeats=3, seed=seed)
    assert made == make_splits(cohort, folds=3, repeats=3, seed=seed)
    assert len({frozenset(f.test for f in made if f.repeat == r) for r in range(3)}) == 3
    assert made != make_splits(cohort, folds=3, repeats=3, seed=seed + 1)
    assert made[:6] == make_splits(cohort, folds=3, repeats=2, seed=seed), (
        "more repeats leave the first as they are"
    )


@pytest.mark.parametrize("data", ["oasis2-midslices", "covid-blues-subset"])
def test_real_cohorts_split_with_every_class_in_every_part(shared_data, data):
    cohort = load(shared_data(data), modality="mri")
    for fold in make_splits(cohort, folds=5, repeats=3, seed=0):
        for group in (fold.test, *fold.parts):
            assert class_counts(cohort, group).min() >= 1


def test_the_rare_classes_of_real_oasis2_are_dealt_as_evenly_as_can_be(shared_data):
    """43 worse and 23 better pairs over five folds: 8 or 9, and 4 or 5, in each."""
    cohort = load(shared_data("oasis2-midslices"), modality="mri")
    for fold in make_splits(cohort, folds=5, repeats=5, seed=0):
        worse, _, better = class_counts(cohort, fold.test)
        assert worse in (8, 9) and better in (4, 5)


def test_repeats_on_real_data_are_as_different_as_chance_makes_them(shared_data):
    """Two patients of one fold meet again with the probability of unrelated divisions, 0.195 (+- 0.02)."""
    cohort = load(shared_data("oasis2-midslices"), modality="mri")
    made = make_splits(cohort, folds=5, repeats=6, seed=0)
    place = np.array(
        [
            [next(f.fold for f in made if f.repeat == r and p in f.test) for p in cohort.patients]
            for r in range(6)
        ]
    )
    together = place[:, :, None] == place[:, None, :]
    together[:, np.eye(len(cohort.patients), dtype=bool)] = False
    again = [(together[a] & together[b]).sum() / together[a].sum() for a in range(6) for b in range(a)]
    assert abs(np.mean(again) - 0.195) < 0.02


def test_a_class_too_rare_for_the_folds_is_told_with_its_count():
    cohort = make_cohort([[0]] * 10 + [[1]] * 10 + [[2]] * 2)
    with pytest.raises(
        UserError, match=r"class 'better' is absent from test fold \d, of 3: there are 2 such pairs"
    ):
        make_splits(cohort, folds=3, repeats=1, seed=0)
    assert len(make_splits(cohort, folds=2, repeats=1, seed=0)) == 2


@pytest.mark.parametrize("holders", [0, 1])
def test_a_class_that_one_patient_or_none_holds_is_told(holders):
    cohort = make_cohort([[0]] * 10 + [[1]] * 10 + [[2]] * holders)
    with pytest.raises(
        UserError, match=f"class 'better' is absent from .* {holders} such pairs in {holders} pat"
    ):
        make_splits(cohort, folds=2, repeats=1, seed=0)


def test_too_few_patients_with_pairs():
    with pytest.raises(UserError, match="only 5 patients have two visits or more: in 3 folds fewer than 4"):
        make_splits(make_cohort([[0, 1, 2]] * 5 + [[]] * 30), folds=3, repeats=1, seed=0)


@pytest.mark.parametrize("seed", range(50))
def test_a_class_is_in_every_fold_where_patients_are_just_enough(seed):
    """Three patients hold "better", and dealing once misses a fold for two seeds of three."""
    cohort = make_cohort([[1, 1, 2], [1, 2], [1], [0, 1, 1], [0, 2], [0, 1], [1, 1], [1, 1]])
    for fold in make_splits(cohort, folds=3, repeats=1, seed=seed):
        assert class_counts(cohort, fold.test).min() >= 1


def test_repeats_that_cannot_differ_are_refused():
    cohort = make_cohort([[0, 1, 2]] * 8)
    with pytest.raises(UserError, match="8 patients cannot be divided into 8 folds in 2 different ways"):
        make_splits(cohort, folds=8, repeats=2, seed=0)


@pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (2, 0)])
def test_no_folds_or_repeats(folds, repeats):
    with pytest.raises(UserError, match="--folds must be at least 2"):
        make_splits(make_cohort([[0, 1, 2]] * 9), folds=folds, repeats=repeats, seed=0)


@pytest.fixture
def folds():
    return make_splits(make_cohort([[0, 1, 2]] * 12), folds=3, repeats=2, seed=0)


def test_saved_splits_come_back(folds, tmp_path):
    save_splits(folds, tmp_path / "splits.json")
    assert load_splits(tmp_path / "splits.json") == folds
    assert json.loads((tmp_path / "splits.json").read_text())["hash"] == splits_hash(folds)


def test_the_hash_is_of_the_patients(folds):
    swapped = replace(folds[0], test=folds[1].test)
    assert splits_hash([swapped, *folds[1:]]) != splits_hash(folds)


@pytest.mark.parametrize("old", ["P1", '"fold": 0'])
def test_changed_splits_are_refused(folds, tmp_path, old):
    path = tmp_path / "splits.json"
    save_splits(folds, path)
    path.write_text(path.read_text().replace(old, old.replace("P1", "Q1").replace("0", "7"), 1))
    with pytest.raises(UserError, match="was changed since it was written"):
        load_splits(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"hash": "", "folds": [{}]}'])
def test_damaged_splits_are_refused(tmp_path, text):
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read as splits"):
        load_splits(tmp_path / "splits.json")


def test_absent_splits_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read as splits"):
        load_splits(tmp_path / "splits.json")
