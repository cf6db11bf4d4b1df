"""A study of a few formula runs in which something goes wrong on purpose, run by the engine alone."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

from learner_ray.cli.command import shown_messages
from learner_ray.cohort import load
from learner_ray.engine.tuning import run_study
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.spec import Source
from learner_ray.study.plan import make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study_file import load_study
from tests.formula_runs import FormulaRun, FormulaTrainable

Goes = Callable[[FormulaRun], None]
"""Is called before every epoch, and may raise or kill."""


def study(
    manifest: Path,
    root: Path,
    *,
    arms: tuple[str, ...] = ("mse",),
    trials: int = 0,
    seeds: int = 1,
    epochs: int = 1,
    folds: int = 1,
    retry: Collection[str] = (),
) -> StudyRunner:
    """A study of one fold, or of both; without trials it has final runs alone."""
    cohort = load(manifest, modality="lus")
    plan = make_plan(
        load_study("lus"),
        cohort,
        Source(path=str(manifest), modality="lus", cohort_hash=cohort.hash),
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=seeds, trials=trials),
        arms=arms,
        edits={"data.image_size": 32, "data.frames": 2, "train.epochs": epochs},
        precision="float32",
        seed=0,
        threads=1,
    )
    groups = [replace(group, trials=trials) for group in plan.groups if group.fold.fold < folds]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    studies = lambda name: optuna.create_study(study_name=name, direction="maximize")  # noqa: E731
    return StudyRunner(groups, plan.study.space, RunStore(root), studies, retry)


def go(
    runner: StudyRunner, goes: Goes | None = None, *, at_once: int = 1, hung_after_s: float = math.inf
) -> None:
    """Runs all that is left, by what is planted."""

    class Planted(FormulaRun):
        def advance(self) -> dict[str, Any] | None:
            if goes is not None:
                goes(self)
            return super().advance()

    class Trainable(FormulaTrainable):
        def open(self, folder: RunFolder) -> FormulaRun:
            return Planted(folder)

    run_all(runner, at_once, trainable=Trainable, hung_after_s=hung_after_s)


def run_all(runner: StudyRunner, at_once: int, **more: Any) -> None:
    """Runs all that is left, and shows its messages on standard output."""
    root = runner.store.root.parent
    root.mkdir(exist_ok=True)
    with shown_messages("stdout"):
        run_study(
            runner,
            scratch=root / ".tune",
            max_concurrent=at_once,
            limit=at_once,
            resources={"cpu": 1},
            **more,
        )


def states(runner: StudyRunner) -> dict[str, str]:
    return {outcome.planned.label: outcome.state for outcome in runner.outcomes}


def claim(folder: Path, name: str) -> bool:
    """Whether this is the first to ask for a name; the file says which process it was."""
    try:
        with open(folder / name, "x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True
