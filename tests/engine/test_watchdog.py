"""A trial that hangs is ended, tried once more and then listed, and the others go on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from learner_ray.engine.tuning import run_study
from learner_ray.run.folder import RunFolder
from tests.engine.hanging import Clock
from tests.engine.planted import study
from tests.formula_runs import FormulaRun, FormulaTrainable


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("joined")
def test_a_hung_trial_is_ended_twice_and_then_failed(manifest: Path, tmp_path: Path) -> None:
    hung = tmp_path / "hung"

    class Hanging(FormulaRun):
        def advance(self) -> dict[str, Any] | None:
            if self.spec.config.loss.name == "contrastive":
                (hung / str(os.getpid())).touch()
                time.sleep(1000)
            return super().advance()

    class Trainable(FormulaTrainable):
        def open(self, folder: RunFolder) -> FormulaRun:
            return Hanging(folder)

    runner = study(manifest, tmp_path, arms=("mse", "contrastive"), trials=1, folds=2)
    run_study(
        runner,
        scratch=tmp_path / ".tune",
        max_concurrent=1,
        limit=1,
        resources={"cpu": 1},
        trainable=Trainable,
        hung_after_s=90,
        clock=Clock(hung),
    )
    states = {outcome.planned.label: (outcome.state, outcome.reason) for outcome in runner.outcomes}
    found = {label: reason for label, (state, reason) in states.items() if state == "failed"}
    assert set(found) == {"contrastive/r0-f0/trial-000", "contrastive/r0-f1/trial-000"}
    assert set(found.values()) == {"hung: no epoch within 90 s, 2 times"}
    assert {label for label, (state, _) in states.items() if state == "complete"} == {
        f"mse/r0-f{fold}/{run}" for fold in (0, 1) for run in ("trial-000", "final-s0")
    }
