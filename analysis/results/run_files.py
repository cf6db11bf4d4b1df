"""Files of single runs, in the folder ``runs`` beside the study's own."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from analysis.results.old_names import translated_row
from analysis.results.study import StudyResults


class DamagedRunFileError(Exception):
    """A run's file is there but does not hold what it must."""


def run_folder(study: StudyResults, run_hash: str) -> Path:
    """The folder of a run, shared by all studies of one root."""
    return Path(os.path.abspath(study.folder)).parent / "runs" / run_hash  # the folder may be named "."


def read_progress(study: StudyResults, run_hash: str) -> list[dict[str, float]]:
    """Read the epochs of a run from its progress.jsonl, as far as that can be read.

    A crash may cut the end of the file off.

    Returns:
        One dictionary per epoch: ``epoch`` and ``selection_score`` (NaN where the epoch has none).
    """
    rows: list[dict[str, float]] = []
    try:
        text = (run_folder(study, run_hash) / "progress.jsonl").read_text(encoding="utf-8")
        for line in text.splitlines():
            row = json.loads(line)
            if not isinstance(row, dict):
                break
            row = translated_row(row)
            epoch, score = row.get("epoch", len(rows) + 1), row.get("selection_score")
            epoch = epoch if isinstance(epoch, int) else float(epoch)
            rows.append({"epoch": epoch, "selection_score": float(math.nan if score is None else score)})
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return rows


def patients_by_role(study: StudyResults, run_hash: str) -> dict[str, list[str]] | None:
    """Read which patients a run was trained, tuned and tested on.

    Returns:
        Patient ids as config.json holds them, by role; None where there is no config.json.

    Raises:
        DamagedRunFileError: config.json cannot be read, or names no patients.
    """
    path = run_folder(study, run_hash) / "config.json"
    if not run_hash or not path.is_file():
        return None
    try:
        patients = json.loads(path.read_text(encoding="utf-8"))["patients"]
        return {str(role): [str(patient) for patient in who] for role, who in patients.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedRunFileError(f"{path}: names no patients by role") from error
