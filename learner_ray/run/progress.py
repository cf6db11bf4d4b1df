"""The progress of a run: one row per finished epoch, as ``progress.jsonl`` holds them."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learner_ray.run.old_names import row_now


def read_rows(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Reads the rows of a ``progress.jsonl`` up to the first line that is damaged or out of order.

    Returns:
        the rows, one per epoch from 1 on, and whether the whole file could be read. A missing file has none.
    """
    try:
        lines = path.read_bytes().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return [], True
    rows: list[dict[str, Any]] = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return rows, False
        if not isinstance(row, dict) or row.get("epoch") != len(rows) + 1:
            return rows, False
        rows.append(row_now(row))
    return rows, True


CLOCK = ("seconds/", "speed/")
"""Beginnings of the names of numbers that tell how long an epoch took, and not what it computed."""


def without_clock(row: Mapping[str, Any]) -> dict[str, Any]:
    """A progress row without what its epoch took of time and of a device: what an equal run has equal."""
    return {key: value for key, value in row.items() if not key.startswith(CLOCK) and key != "devices"}


def selection_score(row: Mapping[str, Any]) -> float:
    """The selection score of a progress row; NaN where it has none (JSON writes NaN as null)."""
    value = row.get("selection_score")
    return math.nan if value is None else float(value)


def finite_numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a progress row that can be drawn over its epoch: those that are finite."""
    return {
        name: float(value)
        for name, value in row.items()
        if name != "epoch" and isinstance(value, int | float) and math.isfinite(value)
    }


def epoch_seconds(row: Mapping[str, Any]) -> float:
    """How long an epoch took, training and evaluation, in seconds."""
    return float(row["seconds/train"] + row["seconds/evaluate"])


def device_seconds(rows: Sequence[Mapping[str, Any]]) -> float:
    """The device time of some epochs, in seconds; a share of a device counts as that."""
    return float(sum(row.get("devices", 1) * epoch_seconds(row) for row in rows))


def median_gradient_ratio(rows: Sequence[Mapping[str, Any]]) -> float:
    """The median over a run's epochs of how strong the contrastive term was beside the regression, the ratio
    of their gradients at the embedding; NaN where no row has one, as in runs of older versions."""
    found = [row.get("train/gradient_ratio") for row in rows]
    return float(statistics.median([ratio for ratio in found if ratio is not None] or [math.nan]))
