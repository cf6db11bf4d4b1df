"""The files of a results folder, read and checked: what is damaged is said in a sentence, not a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.metrics import METRICS

PROBABILITIES = ["p_worse", "p_same", "p_better"]
GROUP = {"arm": str, "repeat": int, "fold": int}
RUN = {**GROUP, "seed": int, "run_hash": str}
LEDGER_COLUMNS = {**RUN, "patient": str, "pair": str, "y_true": float, **dict.fromkeys(PROBABILITIES, float)}
TRIAL_COLUMNS = {**GROUP, "trial": int, "run_hash": str, "state": str, "objective": float}
AUDIT_COLUMNS = {**RUN, "state": str, "objective": float}
FINAL_COLUMNS = {**RUN, "state": str}
SCORE_COLUMNS = {**GROUP, "seed": int, "patient": str, "score": float, "predicted": float}
OPTIONAL = {
    "y_pred": float, "imputed": bool, "change": float, "distance": float, "device_seconds": float,
    "epochs": int, "best_epoch": int,
}  # fmt: skip
"""Columns that may be absent, and what they hold where they are there."""

Kind = type[Any] | tuple[type[Any], ...]
NUMBER = (int, float)
INFO: dict[str, Any] = {
    "study": str, "modality": str, "protocol": str, "profile": str, "reference": str, "primary_metric": str,
    "folds": int, "repeats": int, "seeds": int, "trials": int, "audits": int, "search_metric": str,
    "split_hash": str, "cohort_hash": str, "git_sha": str, "command": str, "left_out": list, "arms": list,
    "development": bool, "versions": {}, "hardware": {}, "fixed_at": {"arm": str},
    "base": {"progression": {"judged_by": str}, "model": {}},
    "cohort": {
        "name": str, "class_counts": list,
        "score": {"name": str, "unit": str, "change_threshold": NUMBER},
    },
}  # fmt: skip
"""What study.json holds, where it holds it; a dictionary stands for an object with these and other keys."""
ARM: dict[str, Any] = {"name": str, "label": str, "control": bool, "edits": {}, "searched": list}


@dataclass
class Faults:
    """What is wrong with a folder, in sentences, as reading it comes upon them."""

    problems: list[str] = field(default_factory=list)
    damaged: bool = False
    """Whether a file is there but cannot be used as it is."""

    def damage(self, sentence: str) -> None:
        self.damaged = True
        self.problems.append(sentence)


def read_info(folder: Path) -> dict[str, Any]:
    """What study.json holds.

    Raises:
        ReportError: the folder is missing, is no study's, or its study.json is damaged.
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
    wrong = _unlike(info, INFO)
    for number, arm in enumerate(info["arms"]):
        named = isinstance(arm, dict) and arm.get("name")
        wrong = wrong or (_unlike(arm, ARM, f"arms[{number}].") if named else f"arms[{number}] has no name")
        if not wrong and not all(isinstance(key, str) for key in arm.get("searched") or ()):
            wrong = f"arms[{number}].searched is {str(arm['searched'])[:40]!r}"
    names = [arm["name"] for arm in info["arms"]] if not wrong else []
    if len(set(names)) < len(names):
        wrong = "arms holds two of one name"
    if not wrong and info.get("primary_metric") not in (None, *METRICS):
        wrong = f"primary_metric is {info['primary_metric']!r}, which is none of {', '.join(METRICS)}"
    if wrong:
        raise ReportError(f"{path}: {wrong}, so it was damaged, or not written by learner_ray.sweep")
    return info


def _unlike(values: Mapping[str, Any], known: Mapping[str, Any], above: str = "") -> str:
    """The first value that is not of the kind it must be, in words; empty where all are."""
    for key, kind in known.items():
        value = values.get(key)
        if value is None:
            continue
        inner = kind if isinstance(kind, dict) else None
        expected = dict if inner is not None else kind
        # In Python True is a whole number too.
        fits = isinstance(value, expected) and (expected in (bool, dict) or not isinstance(value, bool))
        if not fits or (kind is int and value < 0):
            return f"{above}{key} is {str(value)[:40]!r}"
        if inner and (found := _unlike(value, inner, f"{above}{key}.")):
            return found
    return ""


def read_table(path: Path, required: Mapping[str, type], faults: Faults, lost: str) -> pd.DataFrame:
    """A parquet file with its columns in the types they must have, or an empty table and a sentence."""
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in required})
    if not path.is_file():
        faults.problems.append(f"{path.name} is missing: {lost}")
        return empty
    again = "run the study's command again to rebuild it from runs/"
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises several unrelated types on damaged bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        faults.damage(f"{path.name} is damaged ({reason}); {again}")
        return empty
    if table.empty:
        faults.problems.append(f"{path.name} has no rows: {lost}")
        return empty
    absent = [name for name in required if name not in table.columns]
    if absent:
        faults.damage(
            f"{path.name} lacks the columns {', '.join(absent)}; it was not written by this version"
        )
        return empty
    wrong = [name for name, kind in {**OPTIONAL, **required}.items() if not _holds(table, name, kind)]
    if wrong:
        faults.damage(f"{path.name} is damaged (wrong values in {', '.join(wrong)}); {again}")
        return empty
    return _typed(table, {**OPTIONAL, **required})


def _holds(table: pd.DataFrame, name: str, kind: type) -> bool:
    """Whether a column, where it is there, can be taken for the kind of value it must hold."""
    if name not in table:
        return True
    column = table[name]
    if kind is str:
        return bool(column.map(lambda value: isinstance(value, str)).all())
    try:
        values = column.astype(np.float64)
    except (TypeError, ValueError):
        return False
    if kind is float:
        return True
    whole = bool((np.isfinite(values) & (values == np.floor(values))).all())
    return whole and (kind is int or bool(values.isin([0, 1]).all()))


def _typed(table: pd.DataFrame, kinds: Mapping[str, type]) -> pd.DataFrame:
    """Numbers as numbers, where a file has them as anything else."""
    types = {int: np.int64, float: np.float64, bool: np.bool_}
    typed: pd.DataFrame = table.astype(
        {
            name: types[kind]
            for name, kind in kinds.items()
            if kind in types and name in table and not pd.api.types.is_numeric_dtype(table[name])
        }
    )
    return typed


def checked_ledger(ledger: pd.DataFrame, path: Path, faults: Faults) -> pd.DataFrame:
    """Rows with a valid class and probabilities, with the predicted class, and whether it was imputed."""
    if ledger.empty:
        return ledger.assign(y_pred=pd.Series(dtype=np.int64), imputed=pd.Series(dtype=np.bool_))
    p = ledger[PROBABILITIES].to_numpy(dtype=np.float64)
    good = ledger["y_true"].isin([0, 1, 2]).to_numpy() & np.isfinite(p).all(axis=1)
    if "y_pred" in ledger:
        good &= ledger["y_pred"].isin([0, 1, 2]).to_numpy()
    if not good.all():
        first = ledger[~good].iloc[0]
        faults.damage(
            f"{path.name}: {int((~good).sum())} rows have no valid class or probability and are left out, "
            f"the first being row {int(np.flatnonzero(~good)[0])} of run {first['run_hash']}"
        )
    columns = ["arm", "repeat", "fold", "seed", "patient", "pair"]
    repeated = ledger.duplicated(columns).to_numpy()
    if repeated.any():
        faults.damage(
            f"{path.name}: {int(repeated.sum())} rows repeat a pair of the same run and are left out"
        )
    kept = ledger[good & ~repeated].reset_index(drop=True)
    if "y_pred" not in kept:
        kept["y_pred"] = kept[PROBABILITIES].to_numpy(dtype=np.float64).argmax(axis=1)
    if "imputed" not in kept:
        kept["imputed"] = False  # an older version left failed runs out
    integers = dict.fromkeys(("repeat", "fold", "seed", "y_true", "y_pred"), np.int64)
    typed: pd.DataFrame = kept.astype({**integers, "imputed": np.bool_})
    return typed
