"""A larger study finds smaller differences."""

from analysis.statistics.power import minimum_detectable
from analysis.statistics.simulated_studies import Design


def test_more_patients_find_a_smaller_difference() -> None:
    small = minimum_detectable(Design(patients=40, folds=3, seeds=1), studies=20, draws=200)
    large = minimum_detectable(Design(patients=160, folds=3, seeds=1), studies=20, draws=200)
    assert small is not None and large is not None
    assert 0 < large < small < 0.7


def test_a_study_too_small_for_any_difference_says_so() -> None:
    assert minimum_detectable(Design(patients=4, folds=2, seeds=1), studies=20, draws=200) is None
