"""A plan divides the patients once, for all arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Source
from learner_ray.study.plan import make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.study import Suggest
from learner_ray.study.study_file import load_study


def test_all_arms_share_one_split(manifest: Path) -> None:
    plan = make_plan(
        load_study("lus"),
        load(manifest, modality="lus"),
        Source(path=str(manifest)),
        profile="laptop",
        size=Size(folds=2, repeats=2, seeds=1, trials=1),
        arms=("mse", "weighted", "majority"),
        edits={},
        precision="float32",
        seed=0,
        threads=1,
    )
    for fold in plan.folds:
        same = [g.fold for g in plan.groups if (g.fold.repeat, g.fold.fold) == (fold.repeat, fold.fold)]
        assert same == [fold] * 3


@pytest.mark.parametrize(
    "asks",
    [
        lambda s: s.real("train.lr", 0.1, 0.01),
        lambda s: s.real("train.lr", nan, 0.1),
        lambda s: s.real("train.lr", 0.1, inf),
        lambda s: s.real("train.lr", 0.0, 0.1, log=True),
        lambda s: s.real("train.lr", -1.0, 0.1),
        lambda s: s.real("train.batch_size", 2, 16),
        lambda s: s.choice("train.batch_size", [1, 16]),
        lambda s: s.choice("encoder.norm", []),
        lambda s: {}["encoder.norm"],
        lambda s: s.choice("encoder.norm", ["batch", "layer"]),
    ],
)
def test_a_space_asks_for_nothing_that_cannot_be(asks: Callable[[Suggest], None]) -> None:
    with pytest.raises(UserError, match=r"study lus: .*(train\.|encoder\.)"):
        replace(load_study("lus"), space=lambda suggest, config: asks(suggest))
