"""A name or value of a recipe that cannot be is refused where it is written: in the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from learner_ray.core.components import LOSSES
from learner_ray.core.config import Config, TrainConfig
from learner_ray.core.errors import UserError
from learner_ray.losses import Batch, Loss
from learner_ray.losses.configs import TemperatureConfig
from learner_ray.study.study import Arm, Study, Suggest
from learner_ray.study.study_file import load_study, study_names


def lr(low: float, high: float) -> Callable[[Suggest, Config], None]:
    return lambda suggest, config: suggest.real("train.lr", low, high)


def temperature(suggest: Suggest, config: Config) -> None:
    suggest.real("loss.temperature", 0.01, 1.0)


def endpoints(suggest: Suggest, config: Config) -> None:
    suggest.choice("progression.endpoint", ("progression", "decline"))


DECLINE = Config().with_values({"progression.endpoint": "decline"})
DECLINING = Arm(name="d", label="D", edits={"progression.endpoint": "decline"})


def recipe(**changes: Any) -> Study:
    whole: dict[str, Any] = {
        "name": "own",
        "modality": "lus",
        "base": Config(train=TrainConfig(lr=1e-3)),
        "arms": (Arm(name="mse", label="MSE"), Arm(name="group", label="G", edits={"encoder.norm": "group"})),
        "default_arms": ("mse",),
        "reference": "mse",
        "space": lr(1e-4, 1e-2),
    }
    return Study(**{**whole, **changes})


@pytest.mark.parametrize("name", study_names())
def test_our_own_recipes_pass(name: str) -> None:
    assert replace(load_study(name)).name == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"primary_metric": "f1"}, "study own: primary_metric is 'f1': .*known: .*macro_f1"),
        ({"primary_metric": "macro-f1"}, "did you mean 'macro_f1'"),
        ({"reference": "mes"}, "reference is 'mes': .*did you mean 'mse'"),
        ({"default_arms": ("best",)}, "default_arms names 'best'"),
        ({"default_arms": ("mse", "mse")}, "default_arms names an arm twice"),
        ({"default_arms": ()}, "default_arms names no arm"),
        ({"name": " "}, "call the study otherwise"),
        ({"arms": (DECLINING,), "default_arms": ("d",), "reference": "d"}, "arm 'd' sets .*one for all arms"),
        (
            {"profiles": {"laptop": {"progression.endpoint": "decline"}}},
            "profile 'laptop' sets .*one for all",
        ),
        ({"space": endpoints}, "asks for progression.endpoint, which is one for all arms"),
        (
            {"base": DECLINE, "primary_metric": "macro_f1"},
            "macro_f1.*a metric of progression.*name one of dec",
        ),
        ({"profiles": {"labtop": {}}}, "profiles names 'labtop': .*did you mean 'laptop'"),
        ({"profiles": {"laptop": {"train.speed": 1}}}, "profile 'laptop': .*train.speed"),
        ({"profiles": {"laptop": {"train.lr": -1}}}, "profile 'laptop': .*train.lr"),
        (
            {"profiles": {"laptop": {"train.lr": 0.1}}},
            "profile 'laptop': arm 'mse': train.lr is 0.1, outside .*0.0001 to 0.01.*widen the range",
        ),
        ({"arms": (Arm(name="mse", label="MSE", edits={"loss.nme": "mse"}),)}, "arm 'mse': .*loss.nme"),
        ({"space": lr(1e-2, 1e-1)}, "arm 'mse': train.lr is 0.001, outside the range"),
        (
            {"space": lambda s, c: s.real("train.rl", 0.1, 1)},
            "asks for 'train.rl': .*did you mean 'train.lr'",
        ),
        ({"space": lambda s, c: s.choice("encoder.norm", ["group", "frozen"])}, "arm 'mse': encoder.norm is"),
        (
            {
                "arms": (Arm(name="mse", label="R", edits={"loss.name": "rank_n_contrast"}),),
                "space": temperature,
            },
            r"arm 'mse': loss.temperature is 0.0, which stands for 2, outside .*0.01 to 1\).*widen the range",
        ),
        (
            {"space": temperature},
            "arm 'mse': loss.temperature is searched, which neither loss mse nor encoder tsm_resnet18 has",
        ),
        ({"equivalence_margin": 0}, "equivalence_margin must be a number above 0, not 0"),
        ({"equivalence_margin": "0.05"}, "equivalence_margin must be a number"),
        ({"retest_days": None}, "retest_days must be a number above 0, not None"),
        ({"space": lambda s, c: 1 / 0}, "its space fails: ZeroDivisionError"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_recipe_that_cannot_be_is_refused_at_once(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        recipe(**changes)


def test_a_key_that_an_arm_fixes_and_a_control_are_not_searched() -> None:
    norms = Arm(name="mse", label="MSE", edits={"encoder.norm": "group"})
    space = lambda s, c: s.choice("encoder.norm", ["frozen", "batch"])  # noqa: E731
    assert recipe(arms=(norms,), space=space).reference == "mse"
    control = Arm(name="mse", label="MSE", edits={"train.lr": 1.0}, control=True)
    assert recipe(arms=(control,)).arm("mse").control


def test_a_zero_that_may_stand_for_a_value_unknown_to_the_settings_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LOSSES, "_added", {})

    class Zero(Loss):
        name = "zero"
        Config = TemperatureConfig

        def compute(self, batch: Batch) -> Tensor:
            return batch.embeddings.sum()

    arms = (Arm(name="mse", label="Zero", edits={"loss.name": "zero"}),)
    words = (
        r"arm 'mse': loss.temperature is 0.0, outside .*state that value in published of the loss's Config"
    )
    with pytest.raises(UserError, match=words):
        recipe(arms=arms, space=temperature)


def test_an_endpoint_brings_its_primary_metric_unless_one_was_named() -> None:
    assert recipe().primary_metric == "macro_f1"
    assert recipe(base=DECLINE).primary_metric == "decline_balanced_accuracy"
    assert recipe().with_endpoint("decline").primary_metric == "decline_balanced_accuracy"
    assert recipe(base=DECLINE).with_endpoint("progression").primary_metric == "macro_f1"
    named = recipe(
        primary_metric="decline_f1"
    )  # whether a pair was called worse is known of three classes too
    assert named.with_endpoint("decline").primary_metric == "decline_f1"
    with pytest.raises(UserError, match="accuracy"):
        recipe(primary_metric="accuracy").with_endpoint("decline")
