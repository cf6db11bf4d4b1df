"""What a plan costs follows from its schedule."""

import pytest

from learner_ray.study.cost_estimate import expected_epochs


def test_without_stopping_every_trial_runs_its_schedule() -> None:
    assert expected_epochs("none", 5, 8) == 5 * 8


def test_a_lone_trial_is_never_stopped() -> None:
    assert expected_epochs("halving", 1, 8) == 8


def test_halving_spares_epochs_and_keeps_the_first_rung() -> None:
    # Rungs at 2 and 4 of 8 epochs; a second trial goes on if it is the better one: half of the time.
    assert expected_epochs("halving", 2, 8, draws=4000) == pytest.approx(8 + 2 / 2 + 8 / 2, rel=0.03)


def test_controls_without_pretraining_take_no_epochs() -> None:
    assert expected_epochs("halving", 0, 0) == 0
