"""Tables derived from the runs' own files: trials, ledger and scores."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from learner_ray.cohort import Cohort, Fold
from learner_ray.cohort.covariates import NAMES as COVARIATES
from learner_ray.cohort.ratings import rating_table
from learner_ray.core.errors import StorageError
from learner_ray.core.files import write_parquet
from learner_ray.run.folder import RunStore
from learner_ray.run.states import ENDED_BADLY
from learner_ray.study.callback import Callback
from learner_ray.study.imputed import majority_rows
from learner_ray.study.plan import Plan
from learner_ray.study.planned_run import FoldSearchSpec, RunResult
from learner_ray.study.relabelling import Relabelling
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import WITH_EARLIER_SCORE
from learner_ray.training.predictions import WITH_EARLIER_SCORE as FILE
from learner_ray.training.predictions import hidden_pairs

SORTED_BY = ["arm", "repeat", "fold"]

SECONDS_BETWEEN_WRITES = 20.0
TIMES_ITS_DURATION = 20.0
"""Between two writes also passes so many times what a write takes: all of the tables is written anew, which
would take all of a large study's time."""

NO_TRIAL = "no trial of its search is complete, so there is no setting to train anew"


class LedgerWriter(Callback):
    """Keeps a study's tables up to date while it runs.

    Args:
        plan: what is run.
        folder: the study's results folder.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._due = -math.inf

    def on_begin(self, runner: StudyRunner) -> None:
        self._runner = runner

    def on_end(self, outcome: RunResult) -> None:
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Writes the tables of all runs that have ended so far."""
        begun = time.monotonic()
        write_tables(self._plan, self._runner, self._folder)
        ended = time.monotonic()
        self._due = ended + max(SECONDS_BETWEEN_WRITES, TIMES_ITS_DURATION * (ended - begun))


def write_tables(plan: Plan, runner: StudyRunner, folder: Path) -> None:
    """Writes ``trials``, ``audits``, ``finals``, ``ledger`` and ``scores.parquet`` from what has ended;
    ``permutations.parquet`` where an arm has shuffled labels, ``ratings.parquet`` where the cohort has
    ratings of single scans.

    A final run that failed or diverged has rows in the ledger too, marked ``imputed``: what the majority
    class of its training patients predicts. So has one that can never be, since its search failed. Arms that
    can add to the earlier score have rows of a second name, ``ARM + earlier score``, too.
    """
    of_role: dict[str, list[dict[str, Any]]] = {"trial": [], "audit": []}
    for search in runner.groups.values():
        for outcome in search.outcomes:
            if not outcome.planned.final:
                row = trial_row if outcome.planned.role == "trial" else audit_row
                of_role[outcome.planned.role].append(row(search.group, outcome))
    finals = final_runs(runner)
    tables = Tables(plan, runner.store)
    _write(pd.DataFrame(of_role["trial"]), [*SORTED_BY, "trial"], folder / "trials.parquet")
    _write(pd.DataFrame(of_role["audit"]), [*SORTED_BY, "seed"], folder / "audits.parquet")
    _write(pd.DataFrame([run.row for run in finals]), [*SORTED_BY, "seed"], folder / "finals.parquet")
    pairs = _concat([tables.pairs(run) for run in finals] + tables.with_earlier_score(finals))
    _write(pairs, [*SORTED_BY, "seed", "pair"], folder / "ledger.parquet")
    scores = _concat([tables.scores(run) for run in finals])
    _write(scores, [*SORTED_BY, "seed", "scan"], folder / "scores.parquet")
    permutations = _concat([tables.permutations(run) for run in finals])
    if len(permutations):
        _write(permutations, [*SORTED_BY, "seed", "permutation"], folder / "permutations.parquet")
    if plan.cohort.ratings:
        _write(rating_table(plan.cohort), ["patient", "visit", "rating"], folder / "ratings.parquet")


@dataclass(frozen=True, kw_only=True)
class FinalRun:
    """A final run that has ended, or that can never begin since its search failed."""

    group: FoldSearchSpec
    seed: int
    run_hash: str
    """Empty where there is no setting to train with, hence no run."""
    state: str
    error: str = ""
    epochs: int = 0
    device_seconds: float = 0.0
    gradient_ratio: float = math.nan
    """Median over the epochs; NaN where nothing was pretrained."""

    @property
    def labels(self) -> dict[str, Any]:
        """The columns that name the run in every table: arm, repeat, fold, seed and hash."""
        fold = self.group.fold
        place = {"arm": self.group.arm.name, "repeat": fold.repeat, "fold": fold.fold}
        return {**place, "seed": self.seed, "run_hash": self.run_hash}

    @property
    def row(self) -> dict[str, Any]:
        """The run's row of ``finals.parquet``."""
        cost = {"epochs": self.epochs, "device_seconds": self.device_seconds}
        strength = {"gradient_ratio": self.gradient_ratio}
        return {**self.labels, "state": self.state, **cost, **strength, "error": self.error}


def final_runs(runner: StudyRunner) -> list[FinalRun]:
    """All final runs whose end is known."""
    found = []
    for search in runner.groups.values():
        group = search.group
        for outcome in (outcome for outcome in search.outcomes if outcome.planned.final):
            found.append(
                FinalRun(
                    group=group,
                    seed=outcome.planned.number,
                    run_hash=outcome.planned.spec.hash,
                    state=outcome.state,
                    error=outcome.reason if outcome.state in ENDED_BADLY else "",
                    epochs=outcome.epochs,
                    device_seconds=outcome.device_seconds,
                    gradient_ratio=outcome.gradient_ratio,
                )
            )
        found += [
            FinalRun(group=group, seed=seed, run_hash="", state="failed", error=NO_TRIAL)
            for seed in range(group.settings.seeds if search.is_hopeless else 0)
        ]
    return found


class Tables:
    """The ledger's and the scores' rows of each final run, under its labels in a study."""

    def __init__(self, plan: Plan, store: RunStore, tested: Cohort | None = None) -> None:
        """Opens the tables.

        Args:
            plan: of the study.
            store: where its runs lie.
            tested: the cohort whose pairs the runs predicted; None for the study's own.
        """
        self._plan = plan
        self._labels = Relabelling(tested or plan.cohort)
        self._store = store
        self._majority: dict[Fold, pd.DataFrame] = {}
        self._facts = cohort_facts(plan)
        pairs = plan.cohort.pairs()
        # From the cohort and not from the runs' files: what they hold must not change with the manifest.
        self._covariates = pairs[[*COVARIATES]].set_index(pd.Index(hidden_pairs(plan.cohort, pairs)))

    def pairs(self, run: FinalRun) -> pd.DataFrame:
        """One row per test pair."""
        return self._pairs(run, "predictions.parquet")

    def with_earlier_score(self, runs: Sequence[FinalRun]) -> list[pd.DataFrame]:
        """The rows of runs combined with the earlier score, one table per run.

        Runs of older versions have none. A failed run has them where another of its arm has.
        """
        there = [run.state not in ENDED_BADLY and self._path(run, FILE).exists() for run in runs]
        arms = {run.group.arm.name for run, has in zip(runs, there, strict=True) if has}
        return [
            self._pairs(run, FILE, {**run.labels, "arm": f"{run.group.arm.name}{WITH_EARLIER_SCORE}"})
            for run, has in zip(runs, there, strict=True)
            if has or (run.state in ENDED_BADLY and run.group.arm.name in arms)
        ]

    def _pairs(self, run: FinalRun, file: str, labels: Mapping[str, Any] | None = None) -> pd.DataFrame:
        table = self._imputed(run.group) if run.state in ENDED_BADLY else self._own(run, file)
        table.insert(list(table).index("p_better") + 1, "imputed", run.state in ENDED_BADLY)
        known = self._covariates.reindex(table["pair"]).reset_index(drop=True)
        for place, name in enumerate(COVARIATES, start=list(table).index("interval_days") + 1):
            table.insert(place, name, known[name])
        return self._labelled(labels or run.labels, table)

    def scores(self, run: FinalRun) -> pd.DataFrame | None:
        """One row per test scan; None where the arm has no encoder, or the run failed."""
        if run.state in ENDED_BADLY or not run.group.config.progression.uses_encoder:
            return None
        return self._labelled(run.labels, self._own(run, "scores.parquet"))

    def permutations(self, run: FinalRun) -> pd.DataFrame | None:
        """One row per permutation of the labels; None where the run made none, as those of before did not."""
        file = "permutations.parquet"
        if run.state in ENDED_BADLY or not (self._store.folder(run.run_hash).path / file).is_file():
            return None
        table = _read(self._path(run, file))
        return pd.concat([pd.DataFrame(run.labels, index=table.index), table], axis=1)

    def _imputed(self, group: FoldSearchSpec) -> pd.DataFrame:
        # All arms of a fold have the same training patients.
        if group.fold not in self._majority:
            self._majority[group.fold] = majority_rows(self._plan.cohort, group)
        return self._majority[group.fold].copy()

    def _own(self, run: FinalRun, file: str) -> pd.DataFrame:
        path = self._path(run, file)
        return self._labels.now(_read(path), path)

    def _path(self, run: FinalRun, file: str) -> Path:
        return self._store.folder(run.run_hash).path / file

    def _labelled(self, labels: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
        named = pd.DataFrame({**self._facts, **labels}, index=table.index)
        return pd.concat([named, table], axis=1)


def cohort_facts(plan: Plan) -> dict[str, Any]:
    """The ledger's columns that are the same in every row."""
    endpoint = plan.base.progression.endpoint
    return {
        "study": plan.study.name,
        "modality": plan.study.modality,
        "cohort": plan.cohort.name,
        "phantom": plan.cohort.phantom,
        "protocol": protocol(plan),
        # A table that does not say so is of three classes, as all of older versions are.
        **({} if endpoint == "progression" else {"endpoint": endpoint}),
    }


def protocol(plan: Plan) -> str:
    """How test patients were kept apart; what a table's footnote must say."""
    parts = ["development-split" if plan.development else "nested"]
    if plan.division.words:
        parts.append(plan.division.words)
    if not plan.cohort.temporal:
        parts.append("not temporal")
    if plan.winner is not None:
        parts.append(f"all arms at the setting chosen for {plan.winner.arm}")
    return ", ".join(parts)


def audit_row(group: FoldSearchSpec, outcome: RunResult) -> dict[str, Any]:
    """The row of an audit: the selected trial under another seed, with the score of its last epoch, which
    nobody chose."""
    row = trial_row(group, outcome)
    last = outcome.scores.get(outcome.epochs, math.nan)
    keys = ("arm", "repeat", "fold", "run_hash", "state", "epochs", "device_seconds", "error")
    return {**{key: row[key] for key in keys}, "seed": outcome.planned.number, "selection_score": last}


def trial_row(group: FoldSearchSpec, outcome: RunResult) -> dict[str, Any]:
    """The row of a trial: its identity, parameters, state and cost. A higher selection score is better."""
    return {
        "arm": group.arm.name,
        "repeat": group.fold.repeat,
        "fold": group.fold.fold,
        "trial": outcome.planned.number,
        "run_hash": outcome.planned.spec.hash,
        **{f"config.{key}": value for key, value in outcome.planned.parameters.items()},
        "state": outcome.state,
        "selection_score": outcome.selection_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "device_seconds": outcome.device_seconds,
        "error": outcome.reason if outcome.state in ENDED_BADLY else "",
    }


def _read(path: Path) -> pd.DataFrame:
    """A run's own table. It was whole when the run was taken in: what has come to it since is a fault of the
    storage, and the same command trains the run again."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} has gone or was damaged since its run was taken in") from error


def _concat(tables: Sequence[pd.DataFrame | None]) -> pd.DataFrame:
    present = [table for table in tables if table is not None and len(table)]
    return pd.concat(present, ignore_index=True) if present else pd.DataFrame()


def _write(table: pd.DataFrame, keys: Sequence[str], path: Path) -> None:
    """Writes whole or not at all; sorted, so that a table does not tell in which order runs ended."""
    if len(table):
        table = table.sort_values(list(keys), ignore_index=True)
    write_parquet(path, table)
