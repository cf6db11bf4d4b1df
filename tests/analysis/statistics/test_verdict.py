"""Advice of further runs aims at what a verdict needs: Holm over the family, in the next declared look."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.statistics.estimate import Estimate
from analysis.statistics.verdict import (
    ALPHA,
    MOST_ROUNDS,
    Evidence,
    adjusted,
    holm,
    holm_level,
    more_runs,
    projected,
)

unit = st.floats(1e-6, 1)
families = st.integers(1, 20)
looks = st.integers(1, 4)


def noisy(difference, seeds=2):
    """A difference whose variance is training for the most part, so that more runs are worth much."""
    return Evidence(
        estimate=Estimate(
            value=difference, patients=4e-4, patients_degrees=150.0, seeds=9e-4,
            seeds_degrees=5 * (seeds - 1), training=1e-3, training_degrees=4,
        ),
        whole=True, repeats=1, folds=5, seeds=seeds,
    )  # fmt: skip


@given(unit, st.lists(unit, max_size=8), st.integers(0, 5), looks)
def test_holm_rejects_exactly_what_reaches_the_level_that_the_others_leave(p, others, missing, looks):
    family, alpha = len(others) + 1 + missing, ALPHA / looks
    level = holm_level([*others, float("nan")], family, alpha)
    assume(abs(p - level) > 1e-12)
    assert (holm(np.array([p, *others]), family)[0] <= alpha) == (p <= level)


@given(st.floats(0.01, 0.2), families, looks, st.lists(st.floats(0.001, 0.3), max_size=3))
def test_with_the_runs_that_are_advised_and_no_fewer_holm_supports_the_difference(
    difference, more_arms, looks, others
):
    """Seen: a target of 0.05 where the adjusted p was 1, and that of one look where two were declared."""
    tested = {"arm": noisy(difference)} | {f"arm {n}": noisy(other) for n, other in enumerate(others)}
    family, alpha = len(tested) + more_arms, ALPHA / looks
    evidence = adjusted(tested, family, alpha)
    arm, p_others = evidence["arm"], [evidence[name].p for name in evidence if name != "arm"]
    seeds, repeats = more_runs((arm,))

    def supported(repeats, seeds):
        p = projected(arm, repeats, seeds).p
        return bool(holm(np.array([p, *p_others]), family)[0] <= alpha)

    if arm.p <= arm.level:
        assert (seeds, repeats) == (0, 0)
        return
    for advised, enough in (
        (seeds, [supported(1, 2 + n) for n in range(1, MOST_ROUNDS - 1)]),
        (repeats, [supported(1 + n, 2) for n in range(1, MOST_ROUNDS)]),
    ):
        assert advised == (enough.index(True) + 1 if True in enough else 0)


def test_of_more_arms_and_of_more_looks_more_runs_are_asked():
    def repeats(arms, looks=1):
        return more_runs((adjusted({"arm": noisy(0.09)}, arms, ALPHA / looks)["arm"],))[1]

    assert 0 < repeats(arms=2) < repeats(arms=20)
    assert repeats(arms=2) < repeats(arms=2, looks=10) == repeats(arms=20)


def test_both_ways_to_count_failed_runs_must_come_to_support_it():
    easy, hard = (adjusted({"arm": noisy(d)}, 2, ALPHA)["arm"] for d in (0.07, 0.055))
    assert more_runs((easy, hard)) == more_runs((hard, easy)) == more_runs((hard,)) != more_runs((easy,))
    reversed_ = replace(easy, estimate=replace(easy.estimate, value=-easy.difference))
    assert more_runs((easy, reversed_)) == (0, 0)


@pytest.mark.parametrize("nothing", [noisy(0.0), replace(noisy(0.06), whole=False)])
def test_nothing_is_advised_where_nothing_is_seen(nothing):
    assert more_runs((nothing,)) == (0, 0)


def test_what_further_seeds_would_do_is_not_known_of_one():
    seeds, repeats = more_runs((adjusted({"arm": noisy(0.06, seeds=1)}, 1, ALPHA)["arm"],))
    assert seeds == 0 < repeats
