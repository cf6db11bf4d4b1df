"""One patient has one normal form, and two patients have two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort.faults import Faults
from learner_ray.cohort.patients import check_spellings, normal_form
from learner_ray.core.errors import UserError


@pytest.mark.parametrize(
    "spellings",
    [
        ("P-01", "P01", "p_1", "P 1", "p--01 ", "\uff30\uff11"),
        ("sub-001", "1", "1.0", "001", "Subject 1", "patient_01"),
        ("12", "12.0"),
        ("a  b", "A b", "a-b"),
        ("M\u00fcller", "Mu\u0308ller", "M\u00dcLLER"),
    ],
)
def test_ways_of_writing_one_patient(spellings):
    assert len({normal_form(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    "ids",
    [
        ("1-12", "11-2", "112"),
        ("M\u00fcller", "Mller", "Muller"),
        ("P1", "P10", "P1-0", "Q1"),
        ("1.1", "11", "1.10"),
        ("sub", "subject", "sub-a", "b"),
        ("++", "--", "*"),
    ],
)
def test_two_patients_stay_two(ids):
    assert len({normal_form(each) for each in ids}) == len(ids)


@given(
    st.lists(st.from_regex(r"[a-z]{1,3}|[0-9]{1,3}", fullmatch=True), min_size=1, max_size=4),
    st.sampled_from(["-", "_", " ", ".x.", "/"]),
)
def test_separators_tell_runs_apart_and_nothing_else(runs, separator):
    if separator == ".x.":
        assert normal_form("-".join(runs)) != normal_form(separator.join([*runs, ""]))
    else:
        assert normal_form("-".join(runs)) == normal_form(separator.join(runs).upper())


def test_other_spellings_are_told_with_both_rows():
    faults = Faults("table.csv")
    check_spellings([(2, "P7"), (3, "p-07"), (4, "P7"), (5, "P 7")], faults)
    with pytest.raises(UserError) as caught:
        faults.raise_any()
    told = str(caught.value)
    assert "row 3: patient 'p-07' and 'P7' in row 2" in told
    assert "row 5: patient 'P 7' and 'P7' in row 2" in told and "row 4" not in told
