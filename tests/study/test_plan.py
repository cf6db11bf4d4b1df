"""A plan divides the patients once, for all arms."""

from __future__ import annotations

from pathlib import Path

from learner_ray.cohort import load
from learner_ray.study.loading import load_study
from learner_ray.study.plan import make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.runs import Source


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
