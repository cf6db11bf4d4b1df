"""Runs that train nothing: their curves and predictions follow from their configuration, in milliseconds.

For tests of the engine's and the study's logic, in this process by the fixture ``formula_runs``, or as a
command of its own: ``python -m tests.formula_runs STUDY ...`` takes what ``learner_ray.sweep`` takes.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from learner_ray.core.files import write_atomic, write_json, write_parquet
from learner_ray.core.seeding import random_key
from learner_ray.engine.trainable import RunTrainable
from learner_ray.run.folder import RunFolder

if TYPE_CHECKING:
    from learner_ray.training.distributed import World

HOLD = ".hold.json"
"""A file beside the runs' folders that holds them: see ``hold``."""
HELD_AT_MOST_S = 120.0


def hold(root: Path, ended: int) -> None:
    """Lets no run below a results root go on once so many have ended, until ``release``."""
    (root / "runs").mkdir(parents=True, exist_ok=True)
    write_json(root / "runs" / HOLD, {"ended": ended})


def release(root: Path) -> None:
    (root / "runs" / HOLD).unlink()


class FormulaRun:
    """One run, advanced by the epoch as a real one is, whose files it leaves.

    In a world of several ranks they wait for each other, and the first one writes.
    """

    def __init__(self, folder: RunFolder, world: World | None = None) -> None:
        self.folder, self.spec = folder, folder.read_spec()
        self.rows = folder.progress()
        self._world = world
        self._meet()

    @property
    def last_row(self) -> dict[str, Any] | None:
        return self.rows[-1] if self.rows else None

    @property
    def is_first(self) -> bool:
        return self._world is None or self._world.is_first

    def _meet(self) -> None:
        if self._world is not None:
            import torch.distributed

            torch.distributed.barrier()

    def advance(self) -> dict[str, Any] | None:
        self._wait_while_held()
        self._meet()
        config = self.spec.config.train
        epochs = (config.stop_epoch or config.epochs) if self.spec.config.pretrains else 0
        if len(self.rows) >= epochs:
            if self.is_first:
                self._end()
            return None
        self.rows.append(self._row(len(self.rows) + 1))
        if self.is_first:
            self._write()
        return self.rows[-1]

    def _end(self) -> None:
        if self.spec.is_final:
            self._predict()
        self.folder.publish()
        self.folder.finish("complete")

    def _write(self) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_atomic(self.folder.path / "progress.jsonl", lines)
        self.folder.publish()

    def _row(self, epoch: int) -> dict[str, Any]:
        row: dict[str, Any] = {"epoch": epoch, "train/loss": 1 / epoch}
        if self.spec.patients.validation:
            # Rises to a value of the configuration's own, so that trials differ and are stopped.
            level = self._draw("level") - 1 / epoch
            row |= {"validation/macro_f1": level, "selection_score": level}
        return row | {"seconds/train": 0.01, "seconds/evaluate": 0.0}

    def _draw(self, *parts: str) -> float:
        return random_key(self.spec.config.to_json(), *parts) / 2**63

    def _predict(self) -> None:
        from learner_ray.imaging.source import open_cohort
        from learner_ray.training.predictions import embedding_table, pair_table, score_table
        from learner_ray.training.progression import Embedded

        cohort, test = open_cohort(self.spec.source), set(self.spec.patients.test)
        scans = cohort.scans[cohort.scans["patient"].isin(test)].reset_index(drop=True)
        pairs = cohort.pairs()
        pairs = pairs[pairs["patient"].isin(test)].reset_index(drop=True)
        drawn = np.array([[self._draw(p.pair, str(c)) for c in range(3)] for p in pairs.itertuples()])
        drawn += np.eye(3)[pairs["y"]] / 2
        probabilities = drawn / drawn.sum(1, keepdims=True)
        embedded = Embedded({}, {})
        if self.spec.config.progression.uses_encoder:
            points = {scan: np.array([self._draw(scan, "x"), 1.0]) for scan in scans["scan"]}
            predictions = {scan: 100 + 300 * self._draw(scan, "score") for scan in scans["scan"]}
            embedded = Embedded(points, predictions)
            write_parquet(self.folder.path / "scores.parquet", score_table(cohort, scans, embedded))
            write_parquet(self.folder.path / "embeddings.parquet", embedding_table(cohort, scans, embedded))
            write_atomic(self.folder.path / "encoder.pt", b"no weights")
        decided = probabilities.argmax(1)
        table = pair_table(cohort, pairs, scans, probabilities, decided, embedded)
        write_parquet(self.folder.path / "predictions.parquet", table)
        write_json(self.folder.path / "metrics.json", {"accuracy": float((decided == pairs["y"]).mean())})

    def _wait_while_held(self) -> None:
        runs, until = self.folder.path.parent, time.monotonic() + HELD_AT_MOST_S
        while time.monotonic() < until:
            try:
                ended = json.loads((runs / HOLD).read_text())["ended"]
            except FileNotFoundError:
                return
            if len(list(runs.glob("*/state.json"))) < ended:
                return
            time.sleep(0.02)


class FormulaTrainable(RunTrainable):
    def open(self, folder: RunFolder) -> FormulaRun:
        return FormulaRun(folder)


def of_rank(folder: RunFolder, device: str, world: World) -> FormulaRun:
    """A rank's part of a run, for worker groups."""
    return FormulaRun(folder, world)


def use_formula_runs(trainable: type[RunTrainable] = FormulaTrainable, *, ranks: bool = False) -> None:
    """From here on every sweep of this process has such runs; with ``ranks`` also those of worker groups."""
    from learner_ray.engine import run_plan

    run_plan.run_study = functools.partial(run_plan.run_study, trainable=trainable)
    if ranks:
        from learner_ray.engine import worker_groups

        opening = functools.partial(worker_groups.WorkerGroups, open_run=of_rank)
        worker_groups.WorkerGroups = opening  # type: ignore[misc, assignment]


if __name__ == "__main__":
    from learner_ray.sweep import main
    from tests import formula_runs  # by its name: of __main__ another process knows nothing

    formula_runs.use_formula_runs(ranks="--devices-per-trial" in sys.argv)
    sys.exit(main())
