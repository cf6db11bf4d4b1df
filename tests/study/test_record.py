"""A results folder holds one study, which may grow and never change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from learner_ray.cohort import load
from learner_ray.errors import UserError
from learner_ray.study.loading import load_study
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.runs import Source

SMALL: dict[str, Any] = {"trials": 2, "folds": 2, "repeats": 1, "seeds": 1}


def plan(manifest: Path, *, arms: tuple[str, ...] = ("mse", "weighted"), **size: int) -> Plan:
    cohort = load(manifest, modality="lus")
    return make_plan(
        load_study("lus"),
        cohort,
        Source(path=str(manifest), modality="lus", cohort_hash=cohort.hash),
        profile="laptop",
        size=Size(**{**SMALL, **size}),
        arms=arms,
        edits={},
        precision="float32",
        seed=0,
        threads=1,
    )


@pytest.mark.parametrize(
    "more", [{"arms": ("weighted", "mse", "majority")}, {"trials": 3}, {"seeds": 2}, {"repeats": 2}]
)
def test_a_larger_study_is_taken_in_when_asked_and_only_then(
    manifest: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    with pytest.raises(UserError, match="--extend"):
        record(plan(manifest, **more), tmp_path / "lus", [])
    record(plan(manifest, **more), tmp_path / "lus", [], extend=True)
    kept = json.loads((tmp_path / "lus" / "study.json").read_text())
    assert set(kept["extended"][0]) >= {"command", "created", *(more.keys())}
    record(plan(manifest, **more), tmp_path / "lus", [])


@pytest.mark.parametrize("other", [{"arms": ("mse", "majority")}, {"trials": 1}, {"folds": 3}])
def test_another_study_is_refused_even_when_asked_to_extend(
    manifest: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    with pytest.raises(UserError, match="another study"):
        record(plan(manifest, **other), tmp_path / "lus", [], extend=True)


def test_the_space_is_recorded_with_its_bounds(manifest: Path, tmp_path: Path) -> None:
    kept = record(plan(manifest), tmp_path / "lus", [])
    assert kept["space"]["train.lr"]["attributes"]["low"] == plan(manifest).space["train.lr"].low  # type: ignore[attr-defined]
