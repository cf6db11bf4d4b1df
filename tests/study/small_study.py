"""A study of one fold whose runs are finished by a formula instead of by training."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna

from learner_ray.cohort import Fold
from learner_ray.core.config import Config, TrainConfig
from learner_ray.run.folder import RunStore
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, SearchSettings
from learner_ray.study.pruner_choice import PrunerChoice
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Arm, Suggest

FOLDS = [
    Fold(repeat=0, fold=0, test=("a", "b"), parts=(("c",), ("d",), ("e",), ("f",))),
    Fold(repeat=0, fold=1, test=("c", "d"), parts=(("a",), ("b",), ("e",), ("f",))),
]


def space(suggest: Suggest, config: Config) -> None:
    suggest.real("train.lr", 1e-4, 1e-1, log=True)
    if config.loss.name != "mse":
        suggest.real("loss.margin", 0.1, 1.0)


def groups(
    trials: int = 6,
    seeds: int = 2,
    audits: int = 0,
    epochs: int = 8,
    pruner: PrunerChoice = "halving",
    sampler: str = "tpe",
    development: bool = False,
    parallel: int = 1,
) -> list[FoldSearchSpec]:
    found = []
    shared = SearchSettings(
        seed=0, seeds=seeds, audits=audits, pruner=pruner, sampler=sampler, parallel_trials=parallel
    )
    for fold in FOLDS:
        for name in ("mse", "contrastive"):
            edits = {"loss.name": name}
            found.append(
                FoldSearchSpec(
                    arm=Arm(name=name, label=name, edits=edits),
                    config=Config(train=TrainConfig(epochs=epochs)).with_values(edits),
                    fixed=frozenset(edits),
                    fold=fold,
                    trials=0 if development and fold.fold else trials,
                    chosen_by=f"{name}/r0-f0" if development and fold.fold else "",
                    settings=shared,
                    source=Source(path="phantom:lus", cohort_hash="0"),
                )
            )
    return found


def in_memory(name: str) -> optuna.Study:
    """An Optuna study that no file keeps."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(direction="maximize", study_name=name)


def runner(
    root: Path | RunStore,
    *,
    retry: Collection[str] = (),
    callbacks: Sequence[Callback] = (),
    **kwargs: Any,
) -> StudyRunner:
    store = root if isinstance(root, RunStore) else RunStore(root)
    return StudyRunner(groups(**kwargs), space, store, in_memory, retry, callbacks)


def story(runner: StudyRunner) -> list[tuple[str, str, str, int, float]]:
    """What came out of a study, whatever the order it came in."""
    return sorted(
        (
            o.planned.label,
            o.planned.spec.hash,
            o.state,
            o.epochs,
            o.selection_score if not o.planned.final else 0.0,
        )
        for o in runner.outcomes
    )


def run(runner: StudyRunner, *, at_most: int = 10**6, finish_last: bool = True) -> list[PlannedRun]:
    """Runs up to ``at_most`` runs one after the other; the last may be left as if its process had died."""
    done: list[PlannedRun] = []
    while len(done) < at_most and (planned := runner.next_run()) is not None:
        done.append(planned)
        train(runner, planned, die=len(done) == at_most and not finish_last)
        runner.ended(planned)
    return done


def curve(spec: RunSpec) -> Iterator[dict[str, Any]]:
    """Rows whose selection score rises to a value that the learning rate decides."""
    config = spec.config.train
    for epoch in range(1, (config.stop_epoch or config.epochs) + 1):
        row: dict[str, Any] = {"epoch": epoch, "seconds/train": 1.0, "seconds/evaluate": 0.0}
        if not spec.is_final:
            row["selection_score"] = -abs(config.lr - 0.01) - 1 / epoch
        yield row


def train(runner: StudyRunner, planned: PlannedRun, *, die: bool = False) -> None:
    """Writes the files of a run that learns along ``curve``."""
    folder = runner.store.folder(planned.spec.hash)
    folder.write_spec(planned.spec)
    rows: list[dict[str, Any]] = []
    for row in curve(planned.spec):
        rows.append(row)
        (folder.path / "progress.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        if die and row["epoch"] == 3:
            return
        if not runner.row(planned, row):
            return
    folder.finish("complete")
