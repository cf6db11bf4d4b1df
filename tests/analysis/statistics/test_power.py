"""A larger study finds smaller differences."""

import pytest

from analysis.statistics.metrics import METRICS
from analysis.statistics.power import minimum_detectable
from analysis.statistics.simulated_studies import HEAVY_NOISE, Design


def test_more_patients_find_a_smaller_difference() -> None:
    small = minimum_detectable(Design(patients=40, folds=3, seeds=1), studies=20)
    large = minimum_detectable(Design(patients=160, folds=3, seeds=1), studies=20)
    assert small is not None and large is not None
    assert 0 < large < small < 0.7


@pytest.mark.long
def test_noisy_training_hides_more() -> None:
    calm, noisy = (
        minimum_detectable(Design(patients=120), noise=noise, studies=20)
        for noise in (HEAVY_NOISE.__class__(run=0.05, run_bias=0.05), HEAVY_NOISE)
    )
    assert calm is not None and noisy is not None and calm < noisy


def test_a_study_too_small_for_any_difference_says_so() -> None:
    assert minimum_detectable(Design(patients=4, folds=2, seeds=1), studies=20) is None


@pytest.mark.parametrize("name", ["qwk", "class_mae"])
def test_the_difference_is_of_the_metric_that_is_asked_for_in_its_direction(name: str) -> None:
    """Seen: macro-F1, whatever the study's primary metric was."""
    metric = METRICS[name]
    found = minimum_detectable(Design(patients=60, folds=3, seeds=1), metric, studies=10)
    other = minimum_detectable(Design(patients=60, folds=3, seeds=1), studies=10)
    assert found is not None and metric.word(found) == "better" and found != other


@pytest.mark.long
def test_each_of_several_looks_finds_only_larger_differences() -> None:
    """Seen: that of alpha 0.05, however many looks were declared, each of which has its share."""
    design = Design(patients=160, folds=5, seeds=2)
    one, many = (minimum_detectable(design, looks=looks, studies=20) for looks in (1, 4))
    assert one is not None and many is not None and one < many
