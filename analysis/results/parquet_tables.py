"""The parquet tables of a results folder, read and checked.

What is damaged is said in a sentence and left out; it never ends in a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.results.endpoints import CLASSES, PROGRESSION
from analysis.results.old_names import translated_columns

PROBABILITIES = ["p_worse", "p_same", "p_better"]
GROUP = {"arm": str, "repeat": int, "fold": int}
RUN = {**GROUP, "seed": int, "run_hash": str}
LEDGER_COLUMNS = {**RUN, "patient": str, "pair": str, "y_true": float, **dict.fromkeys(PROBABILITIES, float)}
TRIAL_COLUMNS = {**GROUP, "trial": int, "run_hash": str, "state": str, "selection_score": float}
AUDIT_COLUMNS = {**RUN, "state": str, "selection_score": float}
FINAL_COLUMNS = {**RUN, "state": str}
PERMUTED_COUNTS = [f"n_{true}{called}" for true in range(3) for called in range(3)]
"""Pairs by true and predicted class, 0 worse, 1 same, 2 better."""
PERMUTATION_COLUMNS = {**RUN, "permutation": int, **dict.fromkeys(PERMUTED_COUNTS, int)}
SCORE_COLUMNS = {**GROUP, "seed": int, "patient": str, "score": float, "predicted": float}
RATING_COLUMNS = {"patient": str, "visit": str, "rating": float}
OPTIONAL = {
    "y_pred": float, "imputed": bool, "change": float, "distance": float, "device_seconds": float,
    "epochs": int, "best_epoch": int, "gradient_ratio": float, "score_earlier": float, "age": float,
    "education_years": float, "spo2": float, "interval_days": float, "pred_earlier": float,
    "pred_later": float, "weight_earlier_score": float, "weight_own": float,
}  # fmt: skip
"""Columns that may be absent, and what they hold where they are there."""
REMEDY = "run the study's command again to rebuild it from runs/"


@dataclass
class Faults:
    """The faults of a results folder in sentences, collected while it is read."""

    problems: list[str] = field(default_factory=list)
    damaged: bool = False
    """Whether a file is there but cannot be used as it is."""

    def damage(self, sentence: str) -> None:
        """Add a fault of a file that is there but cannot be used as it is."""
        self.damaged = True
        self.problems.append(sentence)


def read_table(path: Path, required: Mapping[str, type], faults: Faults, lost: str) -> pd.DataFrame:
    """Read a parquet file under today's names, its columns in the types that they must have.

    Args:
        path: the file.
        required: the columns it must have and the kind of value each holds: str, int, float or bool.
        faults: where a sentence is added if the file is missing, empty or damaged.
        lost: what cannot be reported without it, which ends that sentence.

    Returns:
        The table; an empty one with the required columns where the file cannot be used.
    """
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in required})
    if not path.is_file():
        faults.problems.append(f"{path.name} is missing: {lost}; {REMEDY}")
        return empty
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises several unrelated types on damaged bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        faults.damage(f"{path.name} is damaged ({reason}); {REMEDY}")
        return empty
    table = table.rename(columns=translated_columns(table.columns))
    if table.empty:
        faults.problems.append(f"{path.name} has no rows: {lost}")
        return empty
    absent = [name for name in required if name not in table.columns]
    if absent:
        faults.damage(
            f"{path.name} lacks the columns {', '.join(absent)}, so another version wrote it; {REMEDY}"
        )
        return empty
    wrong = [name for name, kind in {**OPTIONAL, **required}.items() if not _holds(table, name, kind)]
    if wrong:
        faults.damage(f"{path.name} is damaged (wrong values in {', '.join(wrong)}); {REMEDY}")
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
    """Turn columns of numbers that a file has as anything else into numbers."""
    types = {int: np.int64, float: np.float64, bool: np.bool_}
    typed: pd.DataFrame = table.astype(
        {
            name: types[kind]
            for name, kind in kinds.items()
            if kind in types and name in table and not pd.api.types.is_numeric_dtype(table[name])
        }
    )
    return typed


def checked_ledger(
    ledger: pd.DataFrame, path: Path, faults: Faults, endpoint: str = PROGRESSION
) -> pd.DataFrame:
    """Check the rows of a ledger and add what an older version did not write.

    Args:
        ledger: as ``read_table`` returned it.
        path: the file it came from, which the sentences name.
        faults: where a sentence is added for rows that are left out.
        endpoint: what is predicted; of decline the classes are 0 and 1, and ``p_worse`` stands alone.

    Returns:
        The rows with a valid class and probabilities, each pair once per final run, with the predicted class
        in ``y_pred`` (0 worse, 1 same, 2 better) and whether it is ``imputed``.
    """
    if ledger.empty:
        return ledger.assign(y_pred=pd.Series(dtype=np.int64), imputed=pd.Series(dtype=np.bool_))
    numbers = range(len(CLASSES[endpoint]))
    p = ledger[PROBABILITIES[: 3 if endpoint == PROGRESSION else 1]].to_numpy(dtype=np.float64)
    good = ledger["y_true"].isin(numbers).to_numpy() & np.isfinite(p).all(axis=1)
    if "y_pred" in ledger:
        good &= ledger["y_pred"].isin(numbers).to_numpy()
    if not good.all():
        first = ledger[~good].iloc[0]
        faults.damage(
            f"{path.name}: {int((~good).sum())} rows have no valid class or probability and are left out, "
            f"the first being row {int(np.flatnonzero(~good)[0])} of run {first['run_hash']}; {REMEDY}"
        )
    columns = ["arm", "repeat", "fold", "seed", "patient", "pair"]
    repeated = ledger.duplicated(columns).to_numpy()
    if repeated.any():
        faults.damage(
            f"{path.name}: {int(repeated.sum())} rows repeat a pair of their run and are left out; {REMEDY}"
        )
    kept = ledger[good & ~repeated].reset_index(drop=True)
    if "y_pred" not in kept:
        kept["y_pred"] = kept[PROBABILITIES].to_numpy(dtype=np.float64).argmax(axis=1)
    if "imputed" not in kept:
        kept["imputed"] = False  # an older version left failed runs out
    integers = dict.fromkeys(("repeat", "fold", "seed", "y_true", "y_pred"), np.int64)
    typed: pd.DataFrame = kept.astype({**integers, "imputed": np.bool_})
    return typed
