"""Age, sex, education and SpO2: read where they are, never a reason to refuse, no part of a cohort's hash."""

from __future__ import annotations

import numpy as np
import pytest

from learner_ray.cohort import load
from learner_ray.cohort.covariates import read_covariates
from tests.cohort.rows import COLUMNS, VALID

NAMES = ("age", "sex", "education_years")


def known(rows=(("70", "F", "12"), ("71", "F", "12"), ("80.5", "male", ""), ("81", "M", "n/a"))):
    return [(*row, *own) for row, own in zip(VALID, rows, strict=True)]


def test_a_pair_has_the_age_at_its_earlier_visit(write_manifest):
    cohort = load(write_manifest(known(), (*COLUMNS, *NAMES)), modality="lus")
    pairs = cohort.pairs().set_index("patient")
    assert cohort.notes == ()
    assert pairs["age"].to_dict() == {"P1": 70, "P2": 80.5} and pairs["sex"].to_dict() == {
        "P1": "F",
        "P2": "M",
    }
    assert pairs.loc["P1", "education_years"] == 12 and np.isnan(pairs.loc["P2", "education_years"])


def test_a_manifest_without_them_has_the_columns_empty(write_manifest):
    pairs = load(write_manifest(), modality="lus").pairs()
    assert pairs[["age", "education_years"]].isna().all(axis=None) and (pairs["sex"] == "").all()


def test_they_are_no_part_of_the_hash_and_have_one_of_their_own(write_manifest):
    without = load(write_manifest(), modality="lus")
    first = load(write_manifest(known(), (*COLUMNS, *NAMES)), modality="lus")
    text = write_manifest(known(), (*COLUMNS, *NAMES)).read_text().replace("70,F", "69,F")
    path = write_manifest(known(), (*COLUMNS, *NAMES))
    path.write_text(text)
    other = load(path, modality="lus")
    assert without.hash == first.hash == other.hash
    assert without.covariates_hash == "" and len({first.covariates_hash, other.covariates_hash, ""}) == 3


def test_a_scan_without_them_leaves_what_its_visit_says(write_manifest):
    rows = [*known(), ("a1b.mp4", "P1", "1", "300", "", "", "")]
    visits = load(write_manifest(rows, (*COLUMNS, *NAMES)), modality="lus").visits()
    assert visits.loc[0, [*NAMES]].tolist() == [70, "F", 12]


def test_saturation_is_that_of_the_earlier_visit_and_no_part_of_any_hash(write_manifest):
    """No control sees it: adding it to a manifest must keep the runs of `covariates` too."""
    before = load(write_manifest(known(), (*COLUMNS, *NAMES)), modality="lus")
    rows = [(*row, cell) for row, cell in zip(known(), ("97.5", "91", "", "88"), strict=True)]
    cohort = load(write_manifest(rows, (*COLUMNS, *NAMES, "spo2")), modality="lus")
    pairs = cohort.pairs().set_index("patient")
    assert cohort.notes == () and pairs.loc["P1", "spo2"] == 97.5 and np.isnan(pairs.loc["P2", "spo2"])
    assert (cohort.hash, cohort.covariates_hash) == (before.hash, before.covariates_hash)


@pytest.mark.parametrize("cell", ["0.97", "101", "98 %"])
def test_a_saturation_that_is_no_per_cent_counts_as_missing(cell):
    found, notes = read_covariates([(2, {"spo2": cell})], columns={"spo2": "spo2"})
    assert np.isnan(found[2].spo2) and notes[0].startswith("spo2: 1 cells are not a number of per cent")


@pytest.mark.parametrize(
    ("cells", "name", "row"),
    [
        (("45Y", "F", "12"), "age", 2),
        (("45", "0", "12"), "sex", 2),
        (("45", "F", "college"), "education_years", 2),
    ],
)
def test_what_cannot_be_read_counts_as_missing_and_is_noted(write_manifest, cells, name, row):
    rows = known([cells, ("71", "F", "12"), ("80", "M", "9"), ("81", "M", "9")])
    cohort = load(write_manifest(rows, (*COLUMNS, *NAMES)), modality="lus")
    (note,) = cohort.notes
    assert note.startswith(f"{name}: 1 cells are not") and note.endswith(f"row {row}")
    assert cohort.scans.loc[0, name] in ("",) or np.isnan(cohort.scans.loc[0, name])


@pytest.mark.parametrize("codes", [("99",), ("-1", "12"), ("F",)])
def test_codes_of_a_missing_score_leave_them_alone(write_manifest, codes):
    """Seen: --missing -1,99 made an age of 99 a missing one."""
    path = write_manifest(known([("99", "F", "12")] * 4), (*COLUMNS, *NAMES))
    pairs = load(path, modality="lus", missing=codes).pairs()
    assert pairs[[*NAMES]].to_numpy().tolist() == [[99, "F", 12]] * 2


def test_codes_of_a_missing_score_leave_those_of_a_known_layout_alone(shared_data):
    folder = shared_data("oasis2-midslices")
    pairs = load(folder, modality="mri").pairs()
    oldest = str(int(pairs["age"].max()))
    again = load(folder, modality="mri", missing=(oldest,)).pairs()
    assert (again["age"] == float(oldest)).sum() == (pairs["age"] == float(oldest)).sum() > 0


@pytest.mark.parametrize("cell", ["", "n/a"])
def test_a_missing_value_is_no_fault(cell):
    found, notes = read_covariates([(2, dict.fromkeys(NAMES, cell))])
    assert found[2].sex == "" and np.isnan(found[2].age) and notes == []


def test_real_oasis2_and_covid_blues_have_theirs(shared_data):
    oasis = load(shared_data("oasis2-midslices"), modality="mri").pairs()
    assert oasis["age"].between(60, 98).all() and set(oasis["sex"]) == {"F", "M"}
    assert oasis["education_years"].between(6, 23).all()
    lung = load(shared_data("covid-blues-subset"), modality="lus").pairs()
    assert lung["age"].between(50, 95).all() and set(lung["sex"]) == {"F", "M"}
