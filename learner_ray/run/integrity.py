"""What a run's and a study's files prove: that they are the ones which were written, whole.

``state.json``, written last, lists the others with their sizes and hashes. ``config.json`` needs no entry: it
describes the run, and the hash of what it describes is the run's name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learner_ray.core.errors import UserError
from learner_ray.core.files import json_object, sha256_of
from learner_ray.run.progress import read_rows

if TYPE_CHECKING:
    from learner_ray.run.spec import RunSpec


MODELS = "*.pt"
"""Encoders and checkpoints: nearly all of a run's bytes, and no table or figure needs them."""


ELSEWHERE = ".models-elsewhere"
"""A file in the folder of a run that was brought here without its models: that they lack is no damage."""


STATES = ("complete", "stopped", "failed", "diverged")


NOT_LISTED = ("config.json", "state.json", "last.pt", "error.txt")
"""No number comes from ``error.txt``, which a straggler may write when the run has been given up."""


class DamagedError(UserError):
    """A file is not what this program wrote."""


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object that a file holds, or None where there is no file.

    Raises:
        DamagedError: it holds something else.
    """
    try:
        return json_object(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(f"{path.name} is damaged") from error


def read_end(folder: Path) -> dict[str, Any] | None:
    """How a run ended, with the list of its files, if its version made one; None while it has not.

    Raises:
        DamagedError: ``state.json`` does not say it.
    """
    end = read_object(folder / "state.json")
    if end is None:
        return None
    listed = end.get("files", {})
    if (
        end.get("state") not in STATES
        or not isinstance(end.setdefault("reason", ""), str)
        or not isinstance(listed, dict)
        or not all(isinstance(written, dict) for written in listed.values())
    ):
        raise DamagedError("state.json is damaged")
    return end


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file that a run leaves, by its name."""
    names = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".tmp"]
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(names)
        if path.name not in NOT_LISTED and not path.name.startswith(".")
    }


def difference(
    folder: Path,
    files: Mapping[str, Mapping[str, Any]],
    stored_models: Mapping[str, int] | None = None,
    *,
    models: bool = False,
) -> str:
    """Which file of a list is not there, or is not the one that was written; empty if all are.

    Args:
        folder: of the run.
        files: what :func:`listed` gave.
        stored_models: sizes of the models in object storage, where the folder is a copy without them.
        models: read models too, instead of comparing their sizes alone.
    """
    for name, written in sorted(files.items()):
        is_model, path = Path(name).match(MODELS), folder / name
        if is_model and stored_models is not None and not models:
            size = stored_models.get(name)
        else:
            size = path.stat().st_size if path.is_file() else None
        if size is None and is_model and (folder / ELSEWHERE).exists():
            continue
        if size is None:
            return f"{name} is missing"
        read = (models or not is_model) and path.is_file()
        if size != written.get("bytes") or (read and sha256_of(path) != written.get("sha256")):
            return f"{name} is not the one that this run wrote"
    return ""


def unreadable(
    folder: Path, end: Mapping[str, Any], spec: RunSpec, stored_models: Mapping[str, int] | None = None
) -> str:
    """Which file of a run of a version without lists is missing, cannot be read or is, as far as one can
    tell, of another run; empty if none is.

    Args:
        folder: of the run.
        end: how it ended.
        spec: what it is.
        stored_models: as for :func:`difference`.
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
    """The same for what a final run leaves besides its progress."""
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
    """What is wrong with the predictions, which have to give the metrics that were written beside them."""
    table = _table(path)
    probabilities = ["p_worse", "p_same", "p_better"]
    if table is None or not {"patient", "pair", "y_true", "y_pred", *probabilities} <= set(table):
        return f"{path.name} is missing or damaged"
    if metrics is None:
        return "metrics.json is missing"
    if not table["y_true"].isin((0, 1, 2)).all() or table["patient"].nunique() > patients:
        return f"{path.name} is of another run"
    given = [row[y] for y, row in zip(table["y_true"], table[probabilities].to_numpy(float), strict=True)]
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
