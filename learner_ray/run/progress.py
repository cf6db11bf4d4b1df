"""The progress of a run: one row per finished epoch, as ``progress.jsonl`` holds them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learner_ray.run.old_names import row_now


def read_rows(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The epochs that a ``progress.jsonl`` tells of, from the first on without a gap, and whether that is all
    it holds. A file that is absent holds none."""
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


def selection_score(row: Mapping[str, Any]) -> float:
    """The selection score of a progress row; NaN where it has none (JSON writes NaN as null)."""
    value = row.get("selection_score")
    return math.nan if value is None else float(value)
