"""A place that is left out is seen by no encoder that is tested on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from learner_ray.cohort import Cohort, DivisionAsked
from learner_ray.cohort.leave_out import leave_one_out
from learner_ray.core.errors import UserError
from tests.cohort.test_splits import make_cohort

SITES = ["Ulm"] * 6 + ["Bonn"] * 6 + ["Kiel"] * 3


def at_sites(sites: list[str] = SITES, classes: list[list[int]] | None = None) -> Cohort:
    """Patients with a pair each, at these sites."""
    made: Cohort = make_cohort(classes or [[i % 3] for i in range(len(sites))])
    site = dict(zip([f"P{i}" for i in range(len(sites))], sites, strict=True))
    return replace(made, scans=made.scans.assign(site=made.scans["patient"].map(site)))


def test_each_fold_tests_one_site_and_trains_on_no_one_from_there() -> None:
    folds, names = leave_one_out(at_sites(), "site", seed=0)
    assert names == ("Bonn", "Kiel", "Ulm")
    for fold, name in zip(folds, names, strict=True):
        assert {SITES[int(p[1:])] for p in fold.test} == {name}
        trained = [p for part in fold.parts for p in part]
        assert name not in {SITES[int(p[1:])] for p in trained}
        assert sorted([*trained, *fold.test]) == sorted(at_sites().patients)


def test_the_division_is_named_and_sized_by_its_sites() -> None:
    found = DivisionAsked(leave_out="site").divide(at_sites(), folds=5, repeats=3, seed=0)
    assert found.words == "leave one site out" and found.sizes == {"folds": 3, "repeats": 1}
    assert found.record["places"] == ["Bonn", "Kiel", "Ulm"]
    for size in ({"folds": 5}, {"repeats": 2}):
        with pytest.raises(UserError, match="leave out --"):
            DivisionAsked(leave_out="site", **size).divide(at_sites(), folds=5, repeats=3, seed=0)


def test_a_patient_of_two_sites_or_none_is_refused_and_named() -> None:
    cohort = at_sites()
    moved = cohort.scans["site"].where(cohort.scans["scan"] != "0-1", "Kiel")
    with pytest.raises(UserError, match=r"patient 'P0' has several sites: 'Ulm' \(row 1\), 'Kiel'") as told:
        leave_one_out(replace(cohort, scans=cohort.scans.assign(site=moved)), "site", seed=0)
    assert "--splits" in str(told.value)
    gone = cohort.scans["site"].where(cohort.scans["scan"] != "0-1", "")
    with pytest.raises(UserError, match="patient 'P0' has a scan without a site"):
        leave_one_out(replace(cohort, scans=cohort.scans.assign(site=gone)), "site", seed=0)


def test_one_site_or_a_site_that_lacks_a_class_is_refused() -> None:
    with pytest.raises(UserError, match="names no device of any scan; give a manifest with a column device"):
        leave_one_out(at_sites(), "device", seed=0)
    with pytest.raises(UserError, match="all patients are of site 'Ulm'"):
        leave_one_out(at_sites(["Ulm"] * 9), "site", seed=0)
    with pytest.raises(UserError, match="site 'Kiel': class 'same' is absent from the test patients"):
        leave_one_out(at_sites(["Ulm"] * 9 + ["Kiel"], [[i % 3] for i in range(10)]), "site", seed=0)
    few = [["Ulm"] * 3 + ["Bonn"] * 3][0]
    with pytest.raises(UserError, match="3 patients with progression pairs are left to train on"):
        leave_one_out(at_sites(few), "site", seed=0)
