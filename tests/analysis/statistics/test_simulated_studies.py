"""The decision rule keeps its promise on simulated studies; benchmarks/calibration.py has the full run."""

import pytest

from analysis.statistics.simulated_studies import Design, rates, share, simulated_tests


def test_null_studies_are_rarely_supported():
    """At most 5 %: the rate's lower confidence limit may not exceed it (150 studies, 3 seeds)."""
    tests = simulated_tests(Design(), 150, draws=500)
    assert rates(tests)["supported"][1] <= 0.05
    assert abs(tests["difference"].mean()) < 3 * tests["difference"].std() / 150**0.5


def test_a_large_planted_effect_is_found():
    tests = simulated_tests(Design(), 30, effect=1.2, draws=500)
    assert rates(tests)["supported"][0] >= 0.9
    assert (tests["difference"] > 0).all()


def test_family_wise_error_holds_for_several_arms():
    tests = simulated_tests(Design(arms=5), 40, draws=500)
    assert rates(tests)["supported"][1] <= 0.05


def test_share_is_the_exact_interval():
    assert share([False] * 10) == pytest.approx((0, 0, 0.3085), abs=1e-4)
