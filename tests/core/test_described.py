"""A component says in its docstring what a report quotes of it."""

from __future__ import annotations

import pytest

from learner_ray.core.components import ENCODERS, LOSSES, PRUNERS
from learner_ray.core.described import described


@pytest.mark.parametrize("name", sorted(LOSSES.built_in.keys() - {"mse"}))
def test_every_loss_has_a_formula_and_a_source(name: str) -> None:
    found = described(LOSSES.get(name))
    assert found["formula"].startswith("mean over") and found["text"] and found["source"]
    assert "`" not in "".join(found.values())


def test_encoders_and_pruners_say_what_they_are() -> None:
    assert described(ENCODERS.get("tsm_resnet18"))["text"].startswith("ResNet-18 with the temporal shift")
    assert described(PRUNERS.get("halving")) == {
        "text": "Stops a trial that is not among the best 1/eta of its search at a rung",
        "source": "Li 2020, arXiv 1810.05934",
    }


def test_nothing_is_taken_from_the_class_that_it_derives_from() -> None:
    class Plain(LOSSES.get("mse")):  # type: ignore[misc]
        pass

    assert described(Plain) == {}


def test_a_sentence_does_not_end_in_a_name_or_a_number() -> None:
    class Own:
        """Follows Fig. 1 of Roe et al. in part. More.

        Source: Roe et al. 2020, arXiv 1234.5678. The code differs.
        """

    assert described(Own) == {
        "text": "Follows Fig. 1 of Roe et al. in part",
        "source": "Roe et al. 2020, arXiv 1234.5678",
    }
