"""The report tells patients apart by the very rule by which a cohort was read."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.results.identifiers import same_patient_key
from learner_ray.cohort.patients import normal_form

PIECES = [
    "sub",
    "P",
    "\u00fc",
    "u\u0308",
    "07",
    "7",
    "-",
    "_",
    " ",
    ".0",
    "\uff11",
    "\u0663",
    "\u00b2",
    "Patient",
]


@given(st.one_of(st.text(max_size=10), st.lists(st.sampled_from(PIECES), max_size=6).map("".join)))
def test_both_packages_have_one_normal_form(patient: str) -> None:
    assert same_patient_key(patient) == normal_form(patient)


def test_the_false_alarm_and_the_silence_of_before() -> None:
    assert len({same_patient_key(each) for each in ("1-12", "11-2", "112")}) == 3
    assert same_patient_key("M\u00fcller") != same_patient_key("Mller")
    assert same_patient_key("sub-001") == same_patient_key("1.0")
