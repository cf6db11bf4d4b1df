"""study.json: what a study declared, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.results.endpoints import CLASSES, PROGRESSION
from analysis.results.errors import ReportError
from analysis.results.old_names import translated_study
from analysis.results.paths import left_out_without_paths
from analysis.results.protocol import ALTERED, is_altered, wrong_amendment

Kind = type[Any] | tuple[type[Any], ...]
NUMBER = (int, float)
STUDY: dict[str, Any] = {
    "study": str, "modality": str, "protocol": str, "profile": str, "reference": str, "primary_metric": str,
    "folds": int, "repeats": int, "seeds": int, "trials": int, "audits": int, "selection_metric": str,
    "numerics": int, "split_hash": str, "cohort_hash": str, "git_sha": str, "command": str, "left_out": list,
    "arms": list, "allow_duplicates": bool, "development": bool, "versions": {}, "hardware": {},
    "fixed_at": {"arm": str}, "study_file": str, "amendments": list, "extended": list,
    "endpoint": str, "equivalence_margin": NUMBER, "retest_days": NUMBER, "primary_metric_definition": str,
    "frozen": {
        "date": str, "commit": str, "primary_metric": str, "reference": str, "family": list, "looks": int,
        "analysis": int, "threshold": NUMBER, "alpha": NUMBER, "known_runs": list, "planned": {},
        "sample_size": {"metric": str, "power": NUMBER, "class_shares": list, "noise": {}},
        "calibration": {"families": {}, "not_held": {}},
        "equivalence_margin": NUMBER, "retest_days": NUMBER, "primary_metric_definition": str,
    },
    "methods": {
        "configurations": {}, "components": {"losses": {}, "encoders": {}}, "pairing": str, "search": {},
        "inner": {}, "practice": {"frames": {}, "encoder": {}, "augmentation": {}, "training": {}},
        "defaults": {"cohort": str, "recognised_by": str, "choices": list},
    },
    "starts": {}, "published": {}, "spaces": {}, "set": {}, "source": {"format": str, "missing": list},
    "division": str, "places": list, "splits_file": {"from": str},
    "external": {
        "name": str, "cohort_hash": str, "phantom": bool, "added": str, "left_out": list, "bad_scans": int,
        "flow": {},
    },
    "flow": {},
    "base": {"progression": {"selection_metric": str}, "encoder": {}},
    "cohort": {
        "name": str, "class_counts": list,
        "score": {"name": str, "unit": str, "change_threshold": NUMBER},
    },
}  # fmt: skip
"""The kind of each value, where study.json holds it; a dictionary stands for an object with these and other
keys."""
ARM: dict[str, Any] = {"name": str, "label": str, "control": bool, "edits": {}, "searched": list}
"""The kind of each value of an arm in study.json, in the notation of ``STUDY``."""


def read_study_json(folder: Path) -> dict[str, Any]:
    """Read the study.json of a results folder, under today's names, and without the paths of scans that were
    left out.

    Raises:
        ReportError: the folder is missing or is no study's, or its study.json is damaged.
    """
    if not folder.is_dir():
        raise ReportError(f"{folder}: no such folder; name the folder a study wrote, for example results/lus")
    path = folder / "study.json"
    if not path.is_file():
        raise ReportError(
            f"{folder}: holds no study.json, so it is not the folder of a study "
            "(learner_ray.sweep writes one per study, for example results/lus)"
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(
            f"{path}: cannot be read ({error}); run the study's command again to rewrite it"
        ) from None
    if not isinstance(info, dict) or not isinstance(info.get("arms"), list):
        raise ReportError(f"{path}: names no arms, so it was not written by learner_ray.sweep")
    info = {**translated_study(info), ALTERED: is_altered(info)}
    if wrong := _wrong(info):
        raise damaged(path, wrong)
    return left_out_without_paths(info)


def damaged(path: Path, wrong: str) -> ReportError:
    """The error for a study.json that holds a value it cannot hold.

    Args:
        path: the file.
        wrong: which value, as in ``folds is -1``.
    """
    return ReportError(f"{path}: {wrong}, so it was damaged, or not written by learner_ray.sweep")


def _wrong(info: Mapping[str, Any]) -> str:
    """The first value that cannot be, in words; empty where all can."""
    if wrong := _unlike(info, STUDY) or wrong_amendment(info):
        return wrong
    for number, arm in enumerate(info["arms"]):
        if not isinstance(arm, dict) or not arm.get("name"):
            return f"arms[{number}] has no name"
        if wrong := _unlike(arm, ARM, f"arms[{number}]."):
            return wrong
        if not all(isinstance(key, str) for key in arm.get("searched") or ()):
            return f"arms[{number}].searched is {str(arm['searched'])[:40]!r}"
    if (info.get("endpoint") or PROGRESSION) not in CLASSES:
        return f"endpoint is {str(info['endpoint'])[:40]!r}"
    names = [arm["name"] for arm in info["arms"]]
    return "arms holds two of one name" if len(set(names)) < len(names) else ""


def _unlike(values: Mapping[str, Any], known: Mapping[str, Any], above: str = "") -> str:
    """The first value that is not of the kind it must be, in words; empty where all are."""
    for key, kind in known.items():
        value = values.get(key)
        if value is None:
            continue
        inner = kind if isinstance(kind, dict) else None
        expected: Kind = dict if inner is not None else kind
        # In Python True is a whole number too.
        fits = isinstance(value, expected) and (expected in (bool, dict) or not isinstance(value, bool))
        if not fits or (kind is int and value < 0):
            return f"{above}{key} is {str(value)[:40]!r}"
        if inner and (found := _unlike(value, inner, f"{above}{key}.")):
            return found
    return ""
