"""What the runs of one arm in one fold have in common, one run that is planned, and how it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from learner_ray.cohort import Fold
from learner_ray.core.config import Config
from learner_ray.core.seeding import random_key
from learner_ray.run.folder import RunFolder
from learner_ray.run.progress import selection_score
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.study.study import Arm


def group_name(arm: str, repeat: int, fold: int) -> str:
    """The readable name of the runs of one arm in one fold."""
    return f"{arm}/r{repeat}-f{fold}"


def run_label(group: str, role: str, number: int) -> str:
    """The readable name of a run: its group, its role, and the number of its trial or of its seed."""
    return f"{group}/{role}-{f'{number:03d}' if role == 'trial' else f's{number}'}"


@dataclass(frozen=True, kw_only=True)
class FoldSearchSpec:
    """What a group's runs have in common."""

    arm: Arm
    config: Config
    """The arm's configuration, before the search."""
    fixed: frozenset[str]
    """Keys that the search leaves alone."""
    fold: Fold
    trials: int
    seeds: int
    audits: int = 0
    """Runs of the chosen trial under other seeds, on its own patients: what choosing the best made of it."""
    seed: int
    """The study's."""
    source: Source
    threads: int = 1
    chosen_by: str = ""
    """Name of the group whose choice this one takes instead of searching; empty for a group of its own."""
    pruner: str = "halving"
    """Of ``pruners.PRUNERS``."""
    sampler: str = "tpe"
    """Of ``samplers.SAMPLERS``."""

    @property
    def audit_runs(self) -> int:
        """Audits that there will be: without a search there is nothing to audit."""
        return self.audits if self.trials else 0

    @property
    def runs(self) -> int:
        """Trials, audits and final runs."""
        return self.trials + self.audit_runs + self.seeds

    @property
    def name(self) -> str:
        return group_name(self.arm.name, self.fold.repeat, self.fold.fold)

    def run_seed(self, role: str, number: int = 0) -> int:
        """The seed of a run: the same for every arm, so that arms are paired, unless one is given a seed
        offset."""
        seed_offset = (self.arm.seed_offset,) if self.arm.seed_offset else ()
        return random_key(self.seed, self.fold.repeat, self.fold.fold, role, number, *seed_offset) % 2**31

    def patients(self, *, final: bool) -> Patients:
        """Who is trained, tuned and tested on.

        The outer training patients come in four parts of similar class mix. A trial validates on the first; a
        final run has no validation patients. Classifiers are fitted on the patients of pretraining, or on one
        part that pretraining leaves out.
        """
        first, second, *rest = self.fold.parts
        training = [*second, *(p for part in rest for p in part)]
        validation, test = ((), self.fold.test) if final else (first, ())
        if final:
            training = [*first, *training]
        if not self.config.pretrains:
            return Patients(classifier=tuple(training), validation=validation, test=test)
        if self.config.progression.patients == "same":
            return Patients(
                pretrain=tuple(training), classifier=tuple(training), validation=validation, test=test
            )
        held_out = first if final else second
        pretrain = tuple(p for p in training if p not in set(held_out))
        return Patients(pretrain=pretrain, classifier=held_out, validation=validation, test=test)

    def spec(self, config: Config, *, final: bool) -> RunSpec:
        return RunSpec(
            config=config, patients=self.patients(final=final), source=self.source, threads=self.threads
        )


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run to do for a group."""

    group: str
    number: int
    """Of the trial within its group, or of the seed."""
    spec: RunSpec
    role: Literal["trial", "audit", "final"]
    parameters: dict[str, Any]
    """What the search suggested."""

    @property
    def final(self) -> bool:
        return self.role == "final"

    @property
    def arm(self) -> str:
        """What comes before the fold in the group's name; an arm's own name may have slashes."""
        return self.group.rpartition("/")[0]

    @property
    def label(self) -> str:
        """The readable name, as in TensorBoard."""
        return run_label(self.group, self.role, self.number)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended, read from the run's files."""

    planned: PlannedRun
    state: str
    reason: str
    selection_score: float
    """The best over the later half of the schedule's epochs, or over all of a trial that was stopped before;
    higher is better; NaN where there is none."""
    best_epoch: int
    progress: list[dict[str, Any]]
    device_seconds: float

    @classmethod
    def read(cls, planned: PlannedRun, folder: RunFolder) -> RunResult | None:
        """The outcome, or None while the run has not ended."""
        state = folder.state
        if state is None:
            return None
        progress = folder.progress()
        scored = [row for row in progress if math.isfinite(selection_score(row))]
        # Before half its schedule an encoder has hardly learned, but on few pairs its selection score can by
        # chance be the best of all.
        later = [row for row in scored if 2 * row["epoch"] >= planned.spec.config.train.epochs]
        nothing: dict[str, Any] = {"selection_score": math.nan, "epoch": 0}
        best = max(later or scored, key=lambda row: row["selection_score"], default=nothing)
        return cls(
            planned=planned,
            state=state["state"],
            reason=state["reason"],
            selection_score=best["selection_score"],
            best_epoch=best["epoch"],
            progress=progress,
            device_seconds=sum(
                row.get("devices", 1) * (row["seconds/train"] + row["seconds/evaluate"]) for row in progress
            ),
        )
