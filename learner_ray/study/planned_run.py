"""The search of one arm in one fold, a run that is planned, and its result."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from learner_ray.cohort import Fold
from learner_ray.core.config import Config
from learner_ray.core.numerics import NUMERICS
from learner_ray.core.seeding import random_key
from learner_ray.run.folder import RunFolder
from learner_ray.run.progress import device_seconds, median_gradient_ratio, selection_score
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.study.lag import lag_of
from learner_ray.study.pruner_choice import PrunerChoice
from learner_ray.study.study import Arm


def group_name(arm: str, repeat: int, fold: int) -> str:
    """The readable name of the runs of one arm in one fold."""
    return f"{arm}/r{repeat}-f{fold}"


def run_label(group: str, role: str, number: int) -> str:
    """The readable name of a run: its group, its role, and the number of its trial or of its seed."""
    return f"{group}/{role}-{f'{number:03d}' if role == 'trial' else f's{number}'}"


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What the searches of all arms and folds of a study share."""

    seed: int
    """The study's seed."""
    seeds: int
    """Final runs of every arm in every fold."""
    audits: int = 0
    """Runs of the best trial under other seeds, on its own patients: how much of its score was luck."""
    threads: int = 1
    """Threads of every run."""
    numerics: int = NUMERICS
    """What every run computes from its configuration: see :mod:`learner_ray.core.numerics`."""
    pruner: PrunerChoice = "halving"
    """What stops trials early: a name, or an object of a study file."""
    sampler: str = "tpe"
    """What suggests the next trial: a name of ``samplers.SAMPLERS``."""
    parallel_trials: int = 1
    """Trials of one search that run at a time."""

    @property
    def lag(self) -> int:
        """A trial may depend on those with numbers smaller by this or more; see :mod:`.lag`."""
        return lag_of(self.parallel_trials)


@dataclass(frozen=True, kw_only=True)
class FoldSearchSpec:
    """The search of one arm in one fold: what its trials, audits and final runs have in common."""

    arm: Arm
    config: Config
    """The arm's configuration, before the search."""
    fixed: frozenset[str]
    """Keys that the search leaves alone."""
    fold: Fold
    trials: int
    """Trials of the search; 0 trains the arm's own configuration."""
    settings: SearchSettings
    source: Source
    chosen_by: str = ""
    """Name of the group whose best trial this one takes instead of searching; empty for a group that has a
    search of its own, or none."""

    @property
    def audit_runs(self) -> int:
        """Audits that there will be: without trials there is nothing to audit."""
        return self.settings.audits if self.trials else 0

    @property
    def runs(self) -> int:
        """The number of trials, audits and final runs."""
        return self.trials + self.audit_runs + self.settings.seeds

    @property
    def name(self) -> str:
        """The group's name, made of its arm, repeat and fold."""
        return group_name(self.arm.name, self.fold.repeat, self.fold.fold)

    def run_seed(self, role: str, number: int = 0) -> int:
        """The seed of a run: the same for every arm, so that arms are paired, unless one is given a seed
        offset."""
        seed_offset = (self.arm.seed_offset,) if self.arm.seed_offset else ()
        return (
            random_key(self.settings.seed, self.fold.repeat, self.fold.fold, role, number, *seed_offset)
            % 2**31
        )

    def patients(self, *, final: bool) -> Patients:
        """Whom a run may see, by role.

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

    # Made once for all runs of the group, which share the lists: 100,000 copies would fill the memory.
    @cached_property
    def _trial_patients(self) -> Patients:
        return self.patients(final=False)

    @cached_property
    def _final_patients(self) -> Patients:
        return self.patients(final=True)

    def spec(self, config: Config, *, final: bool) -> RunSpec:
        """The complete specification of a run of this group with a configuration."""
        sees_covariates = config.progression.input == "covariates"
        return RunSpec(
            config=config,
            patients=self._final_patients if final else self._trial_patients,
            source=self.source if sees_covariates else replace(self.source, covariates_hash=""),
            threads=self.settings.threads,
            numerics=self.settings.numerics,
        )


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run that is to be trained for a group: a trial, an audit or a final run."""

    group: str
    """The group's name."""
    number: int
    """The number of the trial within its group, or of the seed of an audit or a final run."""
    spec: RunSpec
    role: Literal["trial", "audit", "final"]
    parameters: dict[str, Any]
    """The values that the search suggested, by dotted key."""

    @property
    def final(self) -> bool:
        """Whether it is a final run, which is tested."""
        return self.role == "final"

    @property
    def arm(self) -> str:
        """The arm's name, which may have slashes itself: what comes before the fold in the group's."""
        return self.group.rpartition("/")[0]

    @property
    def label(self) -> str:
        """The readable name, as in TensorBoard."""
        return run_label(self.group, self.role, self.number)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended and what came out of it, read from the run's files."""

    planned: PlannedRun
    state: str
    reason: str
    selection_score: float
    """The best score over the later half of the schedule's epochs, or over all of a trial that was stopped
    before; higher is better; NaN where there is none."""
    best_epoch: int
    scores: dict[int, float]
    """The selection score of every finished epoch, from epoch 1 on; NaN where it has none. Of the progress
    rows no more is kept: those of 100,000 runs would take gigabytes."""
    device_seconds: float
    gradient_ratio: float = math.nan
    """Median over the epochs; NaN where nothing was pretrained."""

    @property
    def epochs(self) -> int:
        """How many epochs the run has finished."""
        return len(self.scores)

    @classmethod
    def read(cls, planned: PlannedRun, folder: RunFolder) -> RunResult | None:
        """The result of a run, or None while it has not ended."""
        state = folder.state
        if state is None:
            return None
        progress = folder.progress()
        scores = {row["epoch"]: selection_score(row) for row in progress}
        scored = [epoch for epoch, score in scores.items() if math.isfinite(score)]
        # Before half its schedule an encoder has hardly learned, but on few pairs its selection score can by
        # chance be the best of all.
        later = [epoch for epoch in scored if 2 * epoch >= planned.spec.config.train.epochs]
        best = max(later or scored, key=scores.__getitem__, default=0)
        return cls(
            planned=planned,
            state=state["state"],
            reason=state["reason"],
            selection_score=scores.get(best, math.nan),
            best_epoch=best,
            scores=scores,
            device_seconds=device_seconds(progress),
            gradient_ratio=median_gradient_ratio(progress),
        )
