"""The ledger of an external cohort: one row per final run and external progression pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from learner_ray.core.files import write_parquet
from learner_ray.run.external_files import COMBINED, PAIRS, SCORES, external_fault, external_table
from learner_ray.run.folder import RunStore
from learner_ray.run.states import ENDED_BADLY
from learner_ray.study.external import LEDGER, SCORE_TABLE, External
from learner_ray.study.imputed import majority_of, predicted_by
from learner_ray.study.ledger import SORTED_BY, FinalRun, Tables, cohort_facts, final_runs
from learner_ray.study.plan import Plan
from learner_ray.study.planned_run import FoldSearchSpec, run_label
from learner_ray.study.runner import StudyRunner
from learner_ray.training.predictions import WITH_EARLIER_SCORE

OF_FILE = {"predictions.parquet": PAIRS, WITH_EARLIER_SCORE: COMBINED, "scores.parquet": SCORES}
"""The table of the external cohort that stands beside a run's own file."""


@dataclass(frozen=True, kw_only=True)
class ToTest:
    """A complete final run that is to be tested on an external cohort."""

    label: str
    """Its readable name."""
    run_hash: str


def left_to_test(runner: StudyRunner, external: External) -> list[ToTest]:
    """The complete final runs whose predictions of the external cohort are missing or not whole."""
    left = {}
    for run in final_runs(runner):
        if run.state == "complete" and not _is_tested(run, runner.store, external):
            label = run_label(run.group.name, "final", run.seed)
            left[run.run_hash] = ToTest(label=label, run_hash=run.run_hash)
    return [*left.values()]


def write_external_tables(plan: Plan, runner: StudyRunner, external: External, folder: Path) -> None:
    """Writes ``external.parquet`` and ``external-scores.parquet`` from the final runs that were tested.

    Their columns and arms are those of ``ledger.parquet`` and ``scores.parquet``. A final run that failed or
    diverged has rows too, marked ``imputed``: what the majority class of its training patients predicts.
    """
    tables = _ExternalTables(plan, runner.store, external)
    tested = [
        run
        for run in final_runs(runner)
        if run.state in ENDED_BADLY or (run.state == "complete" and _is_tested(run, runner.store, external))
    ]
    pairs = [tables.pairs(run) for run in tested] + tables.with_earlier_score(tested)
    _write(pairs, "pair", folder / LEDGER)
    _write([tables.scores(run) for run in tested], "scan", folder / SCORE_TABLE)


def _is_tested(run: FinalRun, store: RunStore, external: External) -> bool:
    """Whether a run's predictions are whole, those combined with the earlier score included: a version that
    combined runs did not test that."""
    folder = store.folder(run.run_hash)
    combined = (folder.path / WITH_EARLIER_SCORE).is_file()
    lacks = combined and not external_table(folder, external.key, COMBINED).is_file()
    return not lacks and not external_fault(folder, external.key, run.run_hash)


class _ExternalTables(Tables):
    """The rows of each final run on the external cohort."""

    def __init__(self, plan: Plan, store: RunStore, external: External) -> None:
        super().__init__(plan, store, external.cohort)
        self._external = external
        facts = cohort_facts(plan)
        named = {"cohort": external.cohort.name, "phantom": external.cohort.phantom}
        self._facts = {**facts, **named, "protocol": f"{facts['protocol']}, tested on an external cohort"}

    def _imputed(self, group: FoldSearchSpec) -> pd.DataFrame:
        if group.fold not in self._majority:
            cohort, bad = self._external.cohort, self._external.source.bad_scans
            majority = majority_of(self._plan.cohort, group)
            self._majority[group.fold] = predicted_by(majority, cohort, cohort.patients, bad)
        return self._majority[group.fold].copy()

    def _path(self, run: FinalRun, file: str) -> Path:
        return external_table(self._store.folder(run.run_hash), self._external.key, OF_FILE[file])


def _write(tables: Iterable[pd.DataFrame | None], last: str, path: Path) -> None:
    """Writes tables below each other, sorted so that they do not tell in which order runs were tested."""
    present = [table for table in tables if table is not None and len(table)]
    whole = pd.concat(present, ignore_index=True) if present else pd.DataFrame()
    if len(whole):
        whole = whole.sort_values([*SORTED_BY, "seed", last], ignore_index=True)
    write_parquet(path, whole)
