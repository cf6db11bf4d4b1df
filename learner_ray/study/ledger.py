"""Tables derived from the runs' own files: trials, ledger and scores."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from learner_ray.errors import StorageError
from learner_ray.files import write_atomic
from learner_ray.study.coordinator import Coordinator
from learner_ray.study.group import Outcome, Task
from learner_ray.study.plan import Plan
from learner_ray.study.runs import RunStore, objective_of

SORTED_BY = ["arm", "repeat", "fold"]

SECONDS_BETWEEN_WRITES = 20.0


class LedgerWriter:
    """A listener that keeps a study's tables up to date while it runs."""

    def __init__(self, plan: Plan, coordinator: Coordinator, folder: Path) -> None:
        self._plan = plan
        self._coordinator = coordinator
        self._folder = folder
        self._written_at = -math.inf

    def on_start(self, task: Task) -> None:
        """Nothing: tables hold runs that have ended."""

    def on_row(self, task: Task, row: dict[str, Any]) -> None:
        """Nothing: tables hold runs that have ended."""

    def on_end(self, outcome: Outcome) -> None:
        if time.monotonic() - self._written_at > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Writes the tables of all runs that have ended so far."""
        write_tables(self._plan, self._coordinator.outcomes, self._coordinator.store, self._folder)
        self._written_at = time.monotonic()


def write_tables(plan: Plan, outcomes: Sequence[Outcome], store: RunStore, folder: Path) -> None:
    """Writes ``trials``, ``audits``, ``ledger`` and ``scores.parquet`` from the runs that have ended."""
    trials = [trial_row(plan, outcome) for outcome in outcomes if outcome.task.role == "trial"]
    audits = [audit_row(plan, outcome) for outcome in outcomes if outcome.task.role == "audit"]
    finals = [outcome for outcome in outcomes if outcome.task.final and outcome.state == "complete"]
    facts = cohort_facts(plan)
    ledger = [_labelled(plan, o, store, "predictions.parquet", facts) for o in finals]
    scores = [_labelled(plan, o, store, "scores.parquet", facts) for o in finals]
    _write(pd.DataFrame(trials), [*SORTED_BY, "trial"], folder / "trials.parquet")
    _write(pd.DataFrame(audits), [*SORTED_BY, "seed"], folder / "audits.parquet")
    _write(_concat(ledger), [*SORTED_BY, "seed", "pair"], folder / "ledger.parquet")
    _write(_concat(scores), [*SORTED_BY, "seed", "scan"], folder / "scores.parquet")


def cohort_facts(plan: Plan) -> dict[str, Any]:
    """The ledger's columns that are the same in every row."""
    return {
        "study": plan.study.name,
        "modality": plan.study.modality,
        "cohort": plan.cohort.name,
        "phantom": plan.cohort.phantom,
        "protocol": protocol(plan),
    }


def protocol(plan: Plan) -> str:
    """How test patients were kept apart; what a table's footnote must say."""
    parts = ["development-split" if plan.development else "nested"]
    if not plan.cohort.temporal:
        parts.append("not temporal")
    if plan.winner is not None:
        parts.append(f"all arms at the setting chosen for {plan.winner.arm}")
    return ", ".join(parts)


def audit_row(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """The chosen trial under another seed: the objective of its last epoch, which nobody chose."""
    row = trial_row(plan, outcome)
    last = objective_of(outcome.progress[-1]) if outcome.progress else math.nan
    keys = ("arm", "repeat", "fold", "run_hash", "state", "epochs", "device_seconds", "error")
    return {**{key: row[key] for key in keys}, "seed": outcome.task.number, "objective": last}


def trial_row(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """A trial's row: identity, parameters, state and cost. ``objective`` is higher for better."""
    group = next(g for g in plan.groups if g.name == outcome.task.group)
    return {
        "arm": group.arm.name,
        "repeat": group.fold.repeat,
        "fold": group.fold.fold,
        "trial": outcome.task.number,
        "run_hash": outcome.task.spec.hash,
        **{f"config.{key}": value for key, value in outcome.task.parameters.items()},
        "state": outcome.state,
        "objective": outcome.objective,
        "best_epoch": outcome.best_epoch,
        "epochs": len(outcome.progress),
        "device_seconds": outcome.device_seconds,
        "error": outcome.reason if outcome.state in ("failed", "diverged") else "",
    }


def _labelled(
    plan: Plan, outcome: Outcome, store: RunStore, file: str, facts: dict[str, Any]
) -> pd.DataFrame | None:
    """A final run's own table under its labels in this study, or None where the arm has no such table."""
    path = store.folder(outcome.task.spec.hash).path / file
    if file == "scores.parquet" and not outcome.task.spec.config.progression.uses_encoder:
        return None
    group = next(g for g in plan.groups if g.name == outcome.task.group)
    labels = {
        **facts,
        "arm": group.arm.name,
        "repeat": group.fold.repeat,
        "fold": group.fold.fold,
        "seed": outcome.task.number,
        "run_hash": outcome.task.spec.hash,
    }
    table = _read(path)
    return pd.concat([pd.DataFrame(labels, index=table.index), table], axis=1)


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
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())
