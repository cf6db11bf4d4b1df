"""What may be called what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.study.inputs import choose_source
from learner_ray.study.options import SweepOptions
from learner_ray.study.study import Arm
from learner_ray.study.study_file import load_study


@pytest.mark.parametrize("name", ["a,b", "", " ", " a", "a ", "a\nb", "a\x1b[31m"])
def test_a_name_that_no_option_or_screen_can_take_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"comma|control characters"):
        Arm(name=name, label="x")


def test_a_name_that_the_ledger_gives_to_combined_arms_is_refused() -> None:
    with pytest.raises(UserError, match="combined with the earlier score"):
        Arm(name="mse + earlier score", label="x")


@pytest.mark.parametrize("name", ["w/o shift", "../up", "$x<y$", "größe 中", "lr=0.1"])
def test_other_names_are_the_users_own(name: str) -> None:
    assert Arm(name=name, label=name).name == name


@pytest.mark.parametrize("name", ["../up", "w/o shift", "/etc", ".."])
def test_the_results_of_a_study_lie_below_results_whatever_it_is_called(name: str) -> None:
    study = replace(load_study("lus"), name=name)
    _, results = choose_source(study, "x.csv", None, SweepOptions())
    assert results.out.parent == Path("results") and results.out.name not in ("", ".", "..")
