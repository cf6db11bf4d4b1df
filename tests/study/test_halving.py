"""A trial goes on while it is among the best 1/eta that reached its rung."""

from hypothesis import given
from hypothesis import strategies as st

from learner_ray.study.halving import Halving

values = st.lists(st.floats(-10, 10), min_size=1, max_size=30)


def test_rungs_are_powers_of_eta_below_the_end() -> None:
    assert Halving(epochs=27, eta=3, min_epochs=1).rungs == [1, 3, 9]
    assert Halving(epochs=8).rungs == [2, 4]


def test_between_rungs_every_trial_goes_on() -> None:
    halving = Halving(epochs=8)
    assert all(halving.keeps(i, {"epoch": 3, "selection_score": -i}) for i in range(9))


@given(values)
def test_a_best_value_is_kept_and_one_below_the_best_half_is_not(scores: list[float]) -> None:
    halving = Halving(epochs=8, eta=2)
    for number, value in enumerate(scores):
        kept = halving.keeps(number, {"epoch": 2, "selection_score": value})
        better = sum(other > value for other in scores[:number])
        assert kept or better > 0
        assert not kept or number == 0 or better < (number + 2) // 2


@given(values)
def test_replayed_trials_count_like_live_ones(scores: list[float]) -> None:
    live, replayed = Halving(epochs=8), Halving(epochs=8)
    for number, value in enumerate(scores[:-1]):
        live.keeps(number, {"epoch": 2, "selection_score": value})
        replayed.replay(
            number, [{"epoch": 1, "selection_score": 0.0}, {"epoch": 2, "selection_score": value}]
        )
    last = {"epoch": 2, "selection_score": scores[-1]}
    assert live.keeps(99, last) == replayed.keeps(99, last)
