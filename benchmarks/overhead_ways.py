"""The same runs trained in four ways, one way per process: started by ``overhead.py``.

    python benchmarks/overhead_ways.py WAY KIND TRIALS SLOTS MANIFEST FOLDER

Leaves ``result.json`` in the folder, and in each run's folder when it kept its device busy.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import optuna
import ray
from ray import train, tune
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from learner_ray.core.config import Config
from learner_ray.core.files import write_atomic, write_json
from learner_ray.engine.connection import OBJECT_STORE_BYTES, start_local
from learner_ray.engine.progress import Progress
from learner_ray.engine.trainable import RunTrainable, training_run
from learner_ray.engine.tuning import run_study
from learner_ray.imaging.source import open_cohort
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.journal import optuna_studies
from learner_ray.study.ledger import LedgerWriter
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.profiles import Size
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Arm, Study, Suggest
from learner_ray.tracking.curves import Curves
from learner_ray.training.run import TrainingRun

LR = (3e-4, 3e-3)
EDITS = {"data.image_size": 64, "data.frames": 4, "train.epochs": 8, "train.precision": "float32"}
CPU_OF_A_DRIVER = 0.01
"""What the outer trial of the documented pattern is given: it only waits for its inner one."""


@contextmanager
def busy(folder: Path) -> Iterator[None]:
    """Notes when a run kept its device busy."""
    begun = time.time()
    yield
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "busy.jsonl", "a") as file:
        print(json.dumps([os.getpid(), begun, time.time()]), file=file)


class Real(TrainingRun):
    """A run that really trains."""

    def __init__(self, spec: RunSpec, folder: RunFolder, device: str = "cpu") -> None:
        with busy(folder.path):
            super().__init__(spec, folder, device)

    def advance(self) -> dict[str, Any] | None:
        with busy(self.folder.path):
            return super().advance()


class NoOp(TrainingRun):
    """A run of one epoch that only waits."""

    seconds = 0.0

    def __init__(self, spec: RunSpec, folder: RunFolder, device: str = "cpu") -> None:
        self.spec, self.folder = spec, folder
        self._rows = []

    def advance(self) -> dict[str, Any] | None:
        if self._rows:
            self.folder.finish("complete")
            return None
        with busy(self.folder.path):
            time.sleep(self.seconds)
        row = {
            "epoch": 1,
            "selection_score": -self.spec.config.train.lr,
            "seconds/train": self.seconds,
            "seconds/evaluate": 0.0,
        }
        self._rows.append(row)
        write_atomic(self.folder.path / "progress.jsonl", json.dumps(row) + "\n")
        return row


class OneSecond(NoOp):
    """A run of one second."""

    seconds = 1.0


KINDS: dict[str, type[TrainingRun]] = {"no-op": NoOp, "1 s": OneSecond, "real": Real}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every way is given."""

    kind: str
    trials: int
    slots: int
    plan: Plan
    folder: Path

    @property
    def run_class(self) -> type[TrainingRun]:
        return KINDS[self.kind]

    @property
    def group(self) -> FoldSearchSpec:
        return self.plan.groups[0]

    def run(self, lr: float) -> TrainingRun:
        """A run of a group of ours, at a learning rate."""
        spec = self.group.spec(self.group.config.with_values({"train.lr": lr}), final=False)
        folder = RunStore(self.folder).folder(spec.hash)
        folder.write_spec(spec)
        return self.run_class(spec, folder)

    def train(self, lr: float, report: Callable[[dict[str, Any]], Any]) -> float:
        """Trains a run to its end and returns its best selection score: what the ways without an engine
        call."""
        run, best = self.run(lr), -math.inf
        while (row := run.advance()) is not None:
            report(row)
            best = max(best, row["selection_score"])
        return best


def made_up_study(name: str, arms: Sequence[Arm]) -> Study:
    """A study of lung ultrasound whose first arm is the reference."""
    names = tuple(arm.name for arm in arms)
    return Study(
        name=name, modality="lus", base=Config(), arms=tuple(arms), default_arms=names, reference=names[0],
        space=space,
    )  # fmt: skip


def make_job(kind: str, trials: int, slots: int, manifest: str, folder: str) -> Job:
    """The runs of one arm in as many groups as keep all slots at work, and 20 trials per group at most."""
    source = Source(path=manifest)
    cohort = open_cohort(source)
    arm = Arm(name="mse", label="MSE")
    repeats = max(slots, math.ceil(trials / 40))
    study = made_up_study("overhead", [arm])
    plan = make_plan(
        study,
        cohort,
        replace(source, cohort_hash=cohort.hash),
        profile="benchmark",
        size=Size(folds=2, repeats=repeats, seeds=1, trials=math.ceil(trials / (2 * repeats))),
        arms=["mse"],
        edits=EDITS,
        precision="float32",
        seed=0,
        threads=1,
        pruner="none",
    )
    # All train on the same patients: folds differ by one, which is 6 % of the work, and the other ways have
    # one group alone.
    first = plan.groups[0].fold
    folds = [replace(group.fold, parts=first.parts, test=first.test) for group in plan.groups]
    groups = [
        replace(g, settings=replace(g.settings, seeds=0), fold=fold)
        for g, fold in zip(plan.groups, folds, strict=True)
    ]
    plan = replace(plan, groups=groups)
    return Job(kind=kind, trials=trials, slots=slots, plan=plan, folder=Path(folder))


def space(suggest: Suggest, config: Config) -> None:
    suggest.real("train.lr", *LR, log=True)


def ours(job: Job) -> float:
    """The engine of this package, with all that a sweep writes."""
    start_local(job.slots)
    begun = time.time()
    out = job.folder / "study"
    out.mkdir()

    class Measured(RunTrainable):
        def open(self, folder: RunFolder) -> TrainingRun:
            return training_run(folder, job.run_class)

    store = RunStore(job.folder)
    ledger = LedgerWriter(job.plan, out)
    curves = Curves(out / "tensorboard", store, job.plan.space, ["mse"])
    callbacks = [Progress({"mse": job.trials}), curves, ledger]
    runner = StudyRunner(job.plan.groups, space, store, optuna_studies(out), callbacks=callbacks)
    runner.resume()
    run_study(
        runner, scratch=out / ".tune", max_concurrent=job.slots, resources={"cpu": 1}, trainable=Measured
    )
    ledger.write()
    return begun


def plain_tune(job: Job) -> float:
    """Ray Tune with a class trainable and reused actors. By default it has more trials pending than slots,
    starts a process for each and reuses none.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(job.slots)

    class Plain(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self._lr = config["lr"]
            self._run: TrainingRun | None = None

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def step(self) -> dict[str, Any]:
            if self._run is None:
                self._run = job.run(self._lr)
            row = self._run.advance()
            return {"row": row, "done": row is None}

    start_local(job.slots)
    begun = time.time()
    tune.Tuner(
        tune.with_resources(Plain, {"cpu": 1}),
        param_space={"lr": tune.loguniform(*LR)},
        tune_config=tune.TuneConfig(
            num_samples=job.trials, reuse_actors=True, max_concurrent_trials=job.slots
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(job.folder), verbose=0),
    ).fit()
    return begun


def documented(job: Job) -> float:
    """Ray's documented pattern: a Tune trial that runs a TorchTrainer of one worker."""

    def loop(config: dict[str, Any]) -> None:
        job.train(config["lr"], train.report)

    def trial(config: dict[str, Any]) -> None:
        TorchTrainer(
            loop,
            train_loop_config=config,
            scaling_config=train.ScalingConfig(num_workers=1),
            run_config=train.RunConfig(
                name=tune.get_context().get_trial_id(),
                storage_path=str(job.folder / "train"),
                callbacks=[TuneReportCallback()],
            ),
        ).fit()

    ray.init(
        address="local",
        num_cpus=job.slots + 1,  # the drivers' share
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level="ERROR",
    )
    begun = time.time()
    tune.Tuner(
        tune.with_resources(trial, {"cpu": CPU_OF_A_DRIVER}),
        param_space={"lr": tune.loguniform(*LR)},
        tune_config=tune.TuneConfig(num_samples=job.trials, max_concurrent_trials=job.slots),
        run_config=tune.RunConfig(name="tune", storage_path=str(job.folder), verbose=0),
    ).fit()
    return begun


def optuna_joblib(job: Job) -> float:
    """Optuna in joblib's processes that share a journal; no Ray."""
    backend = optuna.storages.journal.JournalFileBackend(str(job.folder / "journal"))
    storage = optuna.storages.JournalStorage(backend)

    def objective(trial: optuna.Trial) -> float:
        return job.train(trial.suggest_float("lr", *LR, log=True), lambda row: None)

    def work(trials: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        optuna.load_study(study_name="joblib", storage=storage).optimize(objective, n_trials=trials)

    begun = time.time()
    optuna.create_study(study_name="joblib", storage=storage, direction="maximize")
    shares = [len(range(slot, job.trials, job.slots)) for slot in range(job.slots)]
    joblib.Parallel(n_jobs=job.slots)(joblib.delayed(work)(share) for share in shares)
    return begun


WAYS: dict[str, Callable[[Job], float]] = {
    "ours": ours,
    "Tune, reuse_actors=True": plain_tune,
    "Tune -> TorchTrainer": documented,
    "Optuna + joblib": optuna_joblib,
}
"""Each trains a job's runs and returns when it began, Ray being up."""


def main() -> None:
    way, kind, trials, slots, manifest, folder = sys.argv[1:]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    job = make_job(kind, int(trials), int(slots), manifest, folder)
    ready = time.time()
    begun = WAYS[way](job)
    ended = time.time()
    write_json(job.folder / "result.json", {"ray_start": begun - ready, "begun": begun, "ended": ended})
    ray.shutdown()


if __name__ == "__main__":
    main()
