"""A trial that hangs is ended, tried once more and then listed, and the others go on."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from learner_ray.cohort import load
from learner_ray.engine.tuning import run_tasks
from learner_ray.study.coordinator import Coordinator
from learner_ray.study.loading import load_study
from learner_ray.study.plan import make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.runs import RunFolder, RunStore, Source
from tests.engine.hanging import Clock
from tests.formula_runs import FormulaRun, FormulaTrainable


@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_a_hung_trial_is_ended_twice_and_then_failed(manifest: Path, tmp_path: Path) -> None:
    hung = tmp_path / "hung"

    class Hanging(FormulaRun):
        def advance(self) -> dict[str, Any] | None:
            if self.spec.config.objective.name == "contrastive":
                (hung / str(os.getpid())).touch()
                time.sleep(1000)
            return super().advance()

    class Trainable(FormulaTrainable):
        def open(self, folder: RunFolder) -> FormulaRun:
            return Hanging(folder)

    cohort = load(manifest, modality="lus")
    plan = make_plan(
        load_study("lus"),
        cohort,
        Source(path=str(manifest), modality="lus", cohort_hash=cohort.hash),
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=1, trials=1),
        arms=("mse", "contrastive"),
        edits={"data.image_size": 32, "data.frames": 2, "train.epochs": 1},
        precision="float32",
        seed=0,
        threads=1,
    )
    study = lambda name: optuna.create_study(study_name=name, direction="maximize")  # noqa: E731
    groups = [replace(group, trials=1) for group in plan.groups]
    coordinator = Coordinator(groups, plan.study.space, RunStore(tmp_path), study)
    run_tasks(
        coordinator,
        scratch=tmp_path / ".tune",
        max_concurrent=1,
        limit=1,
        resources={"cpu": 1},
        trainable=Trainable,
        hung_after_s=90,
        clock=Clock(hung),
    )
    states = {outcome.task.label: (outcome.state, outcome.reason) for outcome in coordinator.outcomes}
    found = {label: reason for label, (state, reason) in states.items() if state == "failed"}
    assert set(found) == {"contrastive/r0-f0/trial-000", "contrastive/r0-f1/trial-000"}
    assert set(found.values()) == {"hung: no epoch within 90 s, 2 times"}
    assert {label for label, (state, _) in states.items() if state == "complete"} == {
        f"mse/r0-f{fold}/{run}" for fold in (0, 1) for run in ("trial-000", "final-s0")
    }
