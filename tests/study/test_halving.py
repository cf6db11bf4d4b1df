"""A trial goes on while it is among the best 1/eta that reached its rung."""

from hypothesis import given
from hypothesis import strategies as st

from learner_ray.study.halving import Halving, OneEpoch
from learner_ray.study.pruner_choice import search_pruner
from learner_ray.study.pruners import Pruner, TrialProgress

values = st.lists(st.floats(-10, 10), min_size=1, max_size=30)


def kept(pruner: Pruner, scores: list[float], *, epoch: int, epochs: int = 8) -> list[bool]:
    """Which of some trials go on that reach an epoch one after the other, each with its score there."""
    search, found = search_pruner(pruner, epochs=epochs, search="r0-f0"), []
    trials = [TrialProgress(number=number, scores={epoch: score}) for number, score in enumerate(scores)]
    for trial in trials:
        found.append(not search.should_prune(trial, trials[: trial.number]))
    return found


def test_rungs_are_powers_of_eta_below_the_end() -> None:
    assert Halving(eta=3, min_epochs=1).rungs(27) == [1, 3, 9]
    assert Halving().rungs(8) == [2, 4]


def test_between_rungs_every_trial_goes_on() -> None:
    assert all(kept(Halving(), [-i for i in range(9)], epoch=3))


@given(values)
def test_a_best_value_is_kept_and_one_below_the_best_half_is_not(scores: list[float]) -> None:
    for number, goes_on in enumerate(kept(Halving(eta=2), scores, epoch=2)):
        better = sum(other > scores[number] for other in scores[:number])
        assert goes_on or better > 0
        assert not goes_on or number == 0 or better < (number + 2) // 2


def test_one_epoch_keeps_the_best_so_far() -> None:
    expected = [True, True, True, False, True, True]
    assert kept(OneEpoch(top=2), [1, 3, 2, 0, 2.5, 4], epoch=1) == expected
    assert all(kept(OneEpoch(top=2), [1, 3, 2, 0, 2.5, -100], epoch=2))


def test_a_trial_without_a_number_is_kept_behind_no_other() -> None:
    assert kept(Halving(), [1.0, float("nan")], epoch=2) == [True, False]
