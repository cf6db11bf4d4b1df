"""Whether the files of a run are whole where its version wrote no list of them.

Sizes and hashes are not known, so each file is read and compared with the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learner_ray.run.integrity import ELSEWHERE, DamagedError, read_object
from learner_ray.run.progress import read_rows
from learner_ray.run.spec import RunSpec


def unreadable(
    folder: Path, end: Mapping[str, Any], spec: RunSpec, stored_models: Mapping[str, int] | None = None
) -> str:
    """Says which file of a run is missing, damaged or, as far as its content shows, of another run; empty if
    none is.

    Args:
        folder: the run's folder.
        end: the content of ``state.json``.
        spec: the run's specification.
        stored_models: sizes of the models in object storage, where the folder is a copy without them.
    """
    rows, whole = read_rows(folder / "progress.jsonl")
    complete = end["state"] == "complete"
    train = spec.config.train
    epochs = (train.stop_epoch or train.epochs) if spec.config.pretrains else 0
    if not whole or (complete and len(rows) != epochs) or (end["state"] == "stopped" and not rows):
        return "progress.jsonl is damaged"
    if not all(_has_its_numbers(row) for row in rows):
        return "progress.jsonl is damaged"
    return _unreadable_test(folder, spec, stored_models) if complete and spec.is_final else ""


def _has_its_numbers(row: Mapping[str, Any]) -> bool:
    numbers = all(value is None or isinstance(value, int | float) for value in row.values())
    return numbers and {"seconds/train", "seconds/evaluate"} <= row.keys()


def _unreadable_test(folder: Path, spec: RunSpec, stored_models: Mapping[str, int] | None) -> str:
    """Which file that a final run leaves besides its progress is missing, damaged or of another run."""
    try:
        metrics, predictor = (read_object(folder / f"{name}.json") for name in ("metrics", "predictor"))
    except DamagedError as error:
        return str(error)
    fault = _other_predictions(folder / "predictions.parquet", metrics, len(spec.patients.test))
    if fault or not spec.config.progression.uses_encoder:
        return fault
    if predictor is None or predictor.get("run_hash") != spec.hash:
        return "predictor.json is missing or of another run"
    scores, predictions = (_table(folder / f"{name}.parquet") for name in ("scores", "predictions"))
    if scores is None or not {"scan", "score", "predicted"} <= set(scores):
        return "scores.parquet is missing or damaged"
    if not set(predictions["patient"]) <= set(scores["patient"]):
        return "scores.parquet is of another run"
    encoder = folder / "encoder.pt"
    there = encoder.exists() or (folder / ELSEWHERE).exists() or "encoder.pt" in (stored_models or {})
    return "" if there else "encoder.pt is missing"


def _other_predictions(path: Path, metrics: Mapping[str, Any] | None, patients: int) -> str:
    """Says what is wrong with the predictions, which must give the metrics that were written beside them."""
    table = _table(path)
    probabilities = ["p_worse", "p_same", "p_better"]
    if table is None or not {"patient", "pair", "y_true", "y_pred", *probabilities} <= set(table):
        return f"{path.name} is missing or damaged"
    if metrics is None:
        return "metrics.json is missing"
    if not table["y_true"].isin((0, 1, 2)).all() or table["patient"].nunique() > patients:
        return f"{path.name} is of another run"
    rows = zip(table["y_true"], table[probabilities].to_numpy(float), strict=True)
    # Of decline the probability of worse is written alone.
    given = [1 - row[0] if y and math.isnan(row[y]) else row[y] for y, row in rows]
    found = {
        "accuracy": sum(table["y_true"] == table["y_pred"]) / max(len(table), 1),
        "log_loss": -sum(math.log(max(p, 2e-16)) for p in given) / max(len(table), 1),
    }
    for name, value in found.items():
        stated = metrics.get(name)
        if not isinstance(stated, int | float) or not math.isclose(stated, value, abs_tol=1e-6):
            return f"{path.name} is of another run than metrics.json"
    return ""


def _table(path: Path) -> Any:
    """A Parquet file, or None where it is missing or cannot be read."""
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        return None
