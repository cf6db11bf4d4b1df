"""A plan divides the patients once, for all arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.engine import run_plan
from learner_ray.run.spec import Source
from learner_ray.run.throughput import Throughput, paced_as
from learner_ray.study.cost_estimate import estimate_cost
from learner_ray.study.designs import compute_matched
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.plan_report import encoder_bytes, idle_devices
from learner_ray.study.profiles import Size
from learner_ray.study.study import Arm, Suggest
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
    ("parallel", "slots", "width", "said"),
    [
        (1, 4, 6, ""),  # two searches and a control in each of two folds
        (
            1,
            16,
            6,
            "6 of 16 runs that fit on the devices can run at a time; a study with --parallel-trials 4",
        ),
        (
            1,
            99,
            6,
            "6 of 99 runs that fit on the devices can run at a time; a study with --parallel-trials 5",
        ),
        (4, 18, 18, ""),
        (9, 99, 22, "22 of 99 runs that fit on the devices can run at a time: there are no more trials"),
    ],
)
def test_it_is_told_when_a_search_leaves_devices_idle(
    manifest: Path, parallel: int, slots: int, width: int, said: str
) -> None:
    plan = make_plan(
        load_study("lus"),
        load(manifest, modality="lus"),
        Source(path=str(manifest)),
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=1, trials=5, parallel_trials=parallel),
        arms=("mse", "weighted", "majority"),
        edits={},
        precision="float32",
        seed=0,
        threads=1,
    )
    assert plan.width == width
    told = idle_devices(plan, slots)
    assert told.startswith(f"While it searches, {said}") if said else not told


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


def plan_of(manifest: Path, encoders: tuple[str, ...], stacked: int = 1) -> Plan:
    """A plan whose arms differ in their encoder."""
    arms = tuple(Arm(name=name, label=name, edits={"encoder.name": name}) for name in encoders)
    cohort = load(manifest, modality="lus")
    scans = cohort.scans.assign(files=[(*files,) * stacked for files in cohort.scans["files"]])
    study = replace(load_study("lus"), arms=arms, default_arms=encoders, reference=encoders[0])
    return make_plan(
        study,
        replace(cohort, scans=scans),
        Source(path=str(manifest)),
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=3, trials=1),
        arms=encoders,
        edits={},
        precision="float32",
        seed=0,
        threads=1,
    )


def test_the_shift_is_searched_where_the_encoder_has_one(manifest: Path) -> None:
    plan = plan_of(manifest, ("tsm_resnet34", "monai_densenet121"))
    searched = {arm: "encoder.shift_fraction" in space for arm, space in plan.spaces.items()}
    assert searched == {"tsm_resnet34": True, "monai_densenet121": False}


def test_stacks_of_single_files_have_no_depth(manifest: Path) -> None:
    plan_of(manifest, ("monai_densenet121",), stacked=3)
    with pytest.raises(UserError, match="monai_densenet121_3d looks at volumes"):
        plan_of(manifest, ("monai_densenet121_3d",), stacked=3)


@pytest.mark.slow
def test_cost_disk_and_memory_follow_the_encoder(manifest: Path) -> None:
    plan = plan_of(manifest, ("tsm_resnet18", "tsm_resnet50"))
    # 11.2 and 23.5 million parameters of four bytes, two folds and three seeds of each.
    assert encoder_bytes(plan) == pytest.approx(6 * 4 * (11.2e6 + 23.5e6), rel=0.01)
    assert run_plan.largest_trial(plan).config.encoder.name == "tsm_resnet50"
    per_scan = {"tsm_resnet18": 1.0, "tsm_resnet50": 3.0}
    costs = estimate_cost(
        plan, {name: Throughput(train_per_scan=s, evaluate_per_scan=s) for name, s in per_scan.items()}
    )
    assert costs[1].device_seconds == pytest.approx(3 * costs[0].device_seconds)


def test_cost_follows_the_views_and_the_length_of_an_arm(manifest: Path) -> None:
    study = compute_matched(load_study("lus"), ("mse", "supcon"))
    plan = make_plan(
        study, load(manifest, modality="lus"), Source(path=str(manifest)), profile="laptop",
        size=Size(folds=2, repeats=1, seeds=1, trials=0), arms=study.default_arms, edits={},
        precision="float32", seed=0, threads=1,
    )  # fmt: skip
    assert [paced_as(group.config) for group in plan.groups[:4]] == [
        "tsm_resnet18", "tsm_resnet18, 2 views", "tsm_resnet18, 2 views", "tsm_resnet18"
    ]  # fmt: skip
    one, two = (Throughput(train_per_scan=seconds, evaluate_per_scan=0) for seconds in (1.0, 1.5))
    found = estimate_cost(plan, {"tsm_resnet18": one, "tsm_resnet18, 2 views": two})
    mse = found[0].device_seconds
    assert [cost.device_seconds / mse for cost in found] == [1, 1.5, 1.5, 2]


def test_only_a_run_that_sees_age_sex_and_education_is_named_by_them(manifest: Path) -> None:
    plan = make_plan(
        load_study("lus"),
        load(manifest, modality="lus"),
        Source(path=str(manifest)),
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=1, trials=0),
        arms=("mse", "metadata", "covariates"),
        edits={},
        precision="float32",
        seed=0,
        threads=1,
    )

    def hashes(covariates: str) -> dict[str, str]:
        groups = [replace(g, source=replace(g.source, covariates_hash=covariates)) for g in plan.groups]
        return {g.arm.name: g.spec(g.config, final=True).hash for g in groups if g.fold.fold == 0}

    before, after = hashes("old"), hashes("new")
    assert {arm for arm in before if before[arm] != after[arm]} == {"covariates"}
