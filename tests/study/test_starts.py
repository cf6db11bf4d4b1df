"""Every search begins with the published setting of its arm, and each arm's own settings are searched."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from learner_ray.cohort import load
from learner_ray.core.config import Config, LossConfig, flatten
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Source
from learner_ray.study.fake_clock import MemoryStore
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study_file import load_study, study_names
from tests.study.small_study import in_memory

PUBLISHED = {
    "rank_n_contrast": {"loss.temperature": 2.0},
    "y_aware": {"loss.temperature": 0.1, "loss.bandwidth": 1.0},
    "expw": {"loss.temperature": 0.1, "loss.bandwidth": 1.0},
    "adacon": {"loss.temperature": 1 / 150, "loss.threshold": 0.5},
    "supcon": {"loss.temperature": 0.07, "loss.bins": 5},
    "siamese": {"loss.temperature": 0.4, "loss.boundary": 1.0},
    "contrastive": {"loss.margin": 0.2, "loss.threshold": 0.5},
    "weighted": {"loss.margin": 0.2, "loss.threshold": 0.5},
}
"""As the losses' own descriptions state them."""
NOT_SEARCHED = {"loss.weighted", "loss.threshold of siamese"}
"""What arms differ in, and what counts only for results of before ``loss.boundary``."""


def plan_of(manifest: Path, study: str, profile: str = "laptop", **edits: object) -> Plan:
    recipe, cohort = load_study(study), load(manifest, modality="lus")
    return make_plan(
        recipe,
        cohort,
        Source(path=str(manifest)),
        profile=profile,
        size=Size(folds=2, repeats=1, seeds=1, trials=2),
        arms=[arm.name for arm in recipe.arms],
        edits=edits,
        precision="float32",
        seed=0,
        threads=1,
    )


@pytest.mark.parametrize("study", study_names())
@pytest.mark.parametrize("profile", ["laptop", "paper"])
def test_trial_0_of_every_arm_is_its_published_or_base_setting(
    manifest: Path, study: str, profile: str
) -> None:
    plan = plan_of(manifest, study, profile)
    runner = StudyRunner(plan.groups, plan.study.space, MemoryStore(), in_memory)
    for group in plan.groups:
        if not group.trials:
            continue
        trial = runner.groups[group.name].next_run()
        assert trial is not None and trial.number == 0
        assert trial.parameters == plan.starts[group.arm.name]
        assert trial.parameters.items() >= PUBLISHED.get(group.arm.name, {}).items()
        trained, base = trial.spec.config.in_effect(), group.config.in_effect()
        assert {**trained, "seed": 0} == base, "nothing else than what the arm is without a search"


@pytest.mark.parametrize("study", study_names())
def test_each_arm_searches_all_that_its_own_loss_has_and_nothing_of_others(
    manifest: Path, study: str
) -> None:
    plan = plan_of(manifest, study)
    shared = {f"loss.{field.name}" for field in fields(LossConfig)}
    for group in plan.groups:
        if not group.trials:
            continue
        config = group.config
        own = {f"loss.{field.name}" for field in fields(config.loss)} - shared - NOT_SEARCHED
        own = {key for key in own if f"{key} of {config.loss.name}" not in NOT_SEARCHED}
        searched = {key for key in plan.spaces[group.arm.name] if key.startswith("loss.")}
        assert searched - shared == own, group.arm.name


def test_what_is_set_by_hand_is_not_searched_and_may_lie_anywhere(manifest: Path) -> None:
    plan = plan_of(manifest, "lus", **{"loss.temperature": 9.0, "train.lr": 1.0})
    assert not any({"loss.temperature", "train.lr"} & space.keys() for space in plan.spaces.values())
    assert all(not {"loss.temperature", "train.lr"} & start.keys() for start in plan.starts.values())


def test_a_start_that_the_user_moves_out_of_its_range_is_refused(manifest: Path) -> None:
    """Another encoder may begin elsewhere: what a recipe cannot know is checked in the plan."""

    def space(suggest, config):  # type: ignore[no-untyped-def]
        low = 0.1 if config.encoder.name == "tsm_resnet18" else 2.0
        suggest.real("loss.regression_weight", low, 4.0)

    study = replace(load_study("lus"), space=space)
    fixed = frozenset({"encoder.name"})
    assert study.search_of(study.base, fixed, "mse")[1] == {"loss.regression_weight": 1.0}
    other = study.base.with_values({"encoder.name": "tsm_resnet34"})
    with pytest.raises(UserError, match=r"study lus: arm 'mse': loss.regression_weight is 1.0, outside"):
        study.search_of(other, fixed, "mse")


def test_the_range_of_a_key_for_all_arms_holds_that_of_each(manifest: Path) -> None:
    plan = plan_of(manifest, "lus")
    for space in plan.spaces.values():
        for key, own in space.items():
            if hasattr(own, "low"):
                assert plan.space[key].low <= own.low and own.high <= plan.space[key].high  # type: ignore[attr-defined]
            else:
                assert set(own.choices) <= set(plan.space[key].choices)  # type: ignore[attr-defined]


def test_a_zero_that_stands_for_nothing_is_a_value() -> None:
    config = Config().with_values(
        {"loss.name": "siamese", "loss.threshold": 0.0, "encoder.shift_fraction": 0.0}
    )
    own = flatten(config.to_dict())
    assert {key for key, value in config.in_effect().items() if value != own[key]} == {"loss.temperature"}
