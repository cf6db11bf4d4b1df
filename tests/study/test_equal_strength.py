"""Our recipes compare losses at equal strengths."""

from __future__ import annotations

import pytest

from learner_ray.study.recipe_checks import ranges_of
from learner_ray.study.study_file import load_study


@pytest.mark.parametrize("name", ["lus", "mri"])
def test_every_loss_of_our_recipes_is_searched_at_equal_strengths(name: str) -> None:
    """One range of the weight, which means the same for all of them; and MSE has the views of the others."""
    study = load_study(name)
    found = {}
    for arm in study.arms:
        config = study.base.with_values(dict(arm.edits))
        if not arm.control and config.loss.name != "mse":
            assert config.loss.weighting == "balanced", arm.name
            ranges = ranges_of(name, study.space, config, frozenset(arm.edits))
            found[arm.name] = str(ranges["loss.contrastive_weight"])
    assert len(found) == 9 and len(set(found.values())) == 1
    assert study.arm("mse_two_views").edits == {"loss.name": "mse", "loss.views": 2}
