"""A trial that hangs is ended, tried once more and then listed, and the others go on."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from learner_ray.cohort import load
from learner_ray.engine.connection import leave, start_local
from learner_ray.engine.trainable import RunTrainable
from learner_ray.engine.tuning import run_tasks
from learner_ray.study.coordinator import Coordinator
from learner_ray.study.loading import load_study
from learner_ray.study.plan import make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.runs import RunStore, Source
from learner_ray.training.run import TrainingRun


@pytest.mark.slow
def test_a_hung_trial_is_ended_twice_and_then_failed(manifest: Path, tmp_path: Path) -> None:
    class Hanging(TrainingRun):
        def advance(self) -> dict[str, Any] | None:
            if self.spec.config.objective.name == "contrastive":
                time.sleep(1000)
            return super().advance()

    class Trainable(RunTrainable):
        run_class = Hanging

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
    start_local(2)
    try:
        run_tasks(
            coordinator,
            scratch=tmp_path / ".tune",
            max_concurrent=2,
            resources={"cpu": 1},
            trainable=Trainable,
            hung_after_s=20,
        )
    finally:
        leave()
    states = {outcome.task.label: (outcome.state, outcome.reason) for outcome in coordinator.outcomes}
    hung = {label: reason for label, (state, reason) in states.items() if state == "failed"}
    assert set(hung) == {"contrastive/r0-f0/trial-000", "contrastive/r0-f1/trial-000"}
    assert set(hung.values()) == {"hung: no epoch within 20 s, 2 times"}
    assert {label for label, (state, _) in states.items() if state == "complete"} == {
        f"mse/r0-f{fold}/{run}" for fold in (0, 1) for run in ("trial-000", "final-s0")
    }
