"""A study of one fold whose runs are finished by a formula instead of by training."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import optuna

from learner_ray.cohort import Fold
from learner_ray.core.config import Config, TrainConfig
from learner_ray.run.folder import RunStore
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.planned_run import Group, Task
from learner_ray.study.runner import Coordinator
from learner_ray.study.study import Arm, Suggest

FOLDS = [
    Fold(repeat=0, fold=0, test=("a", "b"), parts=(("c",), ("d",), ("e",), ("f",))),
    Fold(repeat=0, fold=1, test=("c", "d"), parts=(("a",), ("b",), ("e",), ("f",))),
]


def space(suggest: Suggest, config: Config) -> None:
    suggest.real("train.lr", 1e-4, 1e-1, log=True)
    if config.objective.name != "mse":
        suggest.real("objective.margin", 0.1, 1.0)


def groups(
    trials: int = 6,
    seeds: int = 2,
    audits: int = 0,
    epochs: int = 8,
    scheduler: str = "halving",
    sampler: str = "tpe",
    development: bool = False,
) -> list[Group]:
    found = []
    for fold in FOLDS:
        for name in ("mse", "contrastive"):
            edits = {"objective.name": name}
            found.append(
                Group(
                    arm=Arm(name=name, label=name, edits=edits),
                    config=Config(train=TrainConfig(epochs=epochs)).with_values(edits),
                    fixed=frozenset(edits),
                    fold=fold,
                    trials=0 if development and fold.fold else trials,
                    chosen_by=f"{name}/r0-f0" if development and fold.fold else "",
                    seeds=seeds,
                    audits=audits,
                    seed=0,
                    scheduler=scheduler,
                    sampler=sampler,
                    source=Source(path="phantom:lus", cohort_hash="0"),
                )
            )
    return found


def coordinator(root: Path | RunStore, *, retry: Collection[str] = (), **kwargs: Any) -> Coordinator:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    studies = lambda name: optuna.create_study(direction="maximize", study_name=name)  # noqa: E731
    store = root if isinstance(root, RunStore) else RunStore(root)
    return Coordinator(groups(**kwargs), space, store, studies, retry)


def story(coordinator: Coordinator) -> list[tuple[str, str, str, int, float]]:
    """What came out of a study, whatever the order it came in."""
    return sorted(
        (o.task.label, o.task.spec.hash, o.state, len(o.progress), o.objective if not o.task.final else 0.0)
        for o in coordinator.outcomes
    )


def run(coordinator: Coordinator, *, at_most: int = 10**6, finish_last: bool = True) -> list[Task]:
    """Runs up to ``at_most`` tasks one after the other; the last may be left as if its process had died."""
    done: list[Task] = []
    while len(done) < at_most and (task := coordinator.next_task()) is not None:
        done.append(task)
        train(coordinator, task, die=len(done) == at_most and not finish_last)
        coordinator.ended(task)
    return done


def curve(spec: RunSpec) -> Iterator[dict[str, Any]]:
    """Rows whose objective rises to a value that the learning rate decides."""
    config = spec.config.train
    for epoch in range(1, (config.stop_epoch or config.epochs) + 1):
        row: dict[str, Any] = {"epoch": epoch, "seconds/train": 1.0, "seconds/evaluate": 0.0}
        if not spec.is_final:
            row["objective"] = -abs(config.lr - 0.01) - 1 / epoch
        yield row


def train(coordinator: Coordinator, task: Task, *, die: bool = False) -> None:
    """Writes the files of a run that learns along ``curve``."""
    folder = coordinator.store.folder(task.spec.hash)
    folder.write_spec(task.spec)
    rows: list[dict[str, Any]] = []
    for row in curve(task.spec):
        rows.append(row)
        (folder.path / "progress.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        if die and row["epoch"] == 3:
            return
        if not coordinator.row(task, row):
            return
    folder.finish("complete")
