"""Results folders to tidy DataFrames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import ReportError

PROBABILITIES = ["p_worse", "p_same", "p_better"]
LEDGER_COLUMNS = ["arm", "repeat", "fold", "seed", "run_hash", "patient", "pair", "y_true", *PROBABILITIES]
TRIAL_COLUMNS = ["arm", "repeat", "fold", "trial", "run_hash", "state", "objective"]
AUDIT_COLUMNS = ["arm", "repeat", "fold", "seed", "run_hash", "state", "objective"]
SCORE_COLUMNS = ["arm", "repeat", "fold", "seed", "patient", "score", "predicted"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant of the ablation, as the study declared it."""

    name: str
    label: str
    control: bool = False
    edits: dict[str, Any] = field(default_factory=dict)
    searched: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Study:
    """One results folder: what was declared (``info`` is study.json) and what came of it."""

    key: str
    """Name of the study, unique among those loaded together."""
    folder: Path
    info: dict[str, Any]
    arms: tuple[Arm, ...]
    ledger: pd.DataFrame
    """One row per final run and test pair, with the predicted class in ``y_pred``."""
    trials: pd.DataFrame
    scores: pd.DataFrame
    audits: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=AUDIT_COLUMNS))
    """One row per chosen trial that was trained again on its own patients under another seed."""
    problems: tuple[str, ...] = ()
    """What is wrong with the folder, in sentences; the report prints each."""

    @property
    def modality(self) -> str:
        return str(self.info.get("modality", "unknown")).upper()

    @property
    def cohort(self) -> dict[str, Any]:
        return dict(self.info.get("cohort") or {})

    @property
    def reference(self) -> str:
        return str(self.info.get("reference", "mse"))

    @property
    def primary_metric(self) -> str:
        return str(self.info.get("primary_metric", "macro_f1"))

    @property
    def labels(self) -> dict[str, str]:
        return {arm.name: arm.label for arm in self.arms}

    @property
    def family(self) -> tuple[str, ...]:
        """Arms tested against the reference: the declared family of comparisons."""
        return tuple(a.name for a in self.arms if not a.control and a.name != self.reference)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What every table and figure of this study must carry: phantom, not temporal, not nested."""
        protocol = str(self.info.get("protocol", "not recorded")).lower()
        found = []
        if self.cohort.get("phantom"):
            found.append("phantom")
        if self.cohort.get("temporal") is False or "not temporal" in protocol:
            found.append("not temporal")
        if not protocol.startswith("nested"):
            found.append("not nested")
        return tuple(found)

    @property
    def title(self) -> str:
        """Modality, with the study's name where that says more, and the cautions."""
        name = self.modality if self.key.upper() == self.modality else f"{self.modality} {self.key}"
        return ", ".join([name, *(c for c in self.cautions if c not in name)])


@dataclass(frozen=True)
class Results:
    """Studies that are reported side by side and never pooled."""

    studies: tuple[Study, ...]

    @property
    def ledger(self) -> pd.DataFrame:
        return self._stacked("ledger")

    @property
    def trials(self) -> pd.DataFrame:
        return self._stacked("trials")

    @property
    def scores(self) -> pd.DataFrame:
        return self._stacked("scores")

    def _stacked(self, name: str) -> pd.DataFrame:
        frames = [getattr(study, name).assign(study=study.key) for study in self.studies]
        stacked: pd.DataFrame = pd.concat(frames, ignore_index=True)
        return stacked


def load(folders: Sequence[Path | str]) -> Results:
    """Read results folders.

    A folder whose tables are missing or damaged is loaded with what it has; ``Study.problems`` says what is
    wrong.

    Raises:
        ReportError: a folder is missing or holds no readable study.json.
    """
    if not folders:
        raise ReportError("no results folder given; name one, for example results/lus")
    paths = [Path(folder) for folder in folders]
    names = [path.resolve().name for path in paths]
    keys = [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]
    if len(set(keys)) < len(keys):
        raise ReportError(f"the same results folder is named twice: {', '.join(map(str, paths))}")
    return Results(tuple(_load_study(path, key) for path, key in zip(paths, keys, strict=True)))


def _load_study(folder: Path, key: str) -> Study:
    info = _read_info(folder)
    problems: list[str] = []
    ledger = _read_table(
        folder / "ledger.parquet", LEDGER_COLUMNS, problems, "no final run has been written yet"
    )
    trials = _read_table(
        folder / "trials.parquet", TRIAL_COLUMNS, problems, "the search cannot be summarised"
    )
    scores = _read_table(folder / "scores.parquet", SCORE_COLUMNS, problems, "scores cannot be compared")
    audits = pd.DataFrame(columns=AUDIT_COLUMNS)
    if info.get("audits") and info.get("trials"):
        audits = _read_table(
            folder / "audits.parquet", AUDIT_COLUMNS, problems, "the search cannot be audited"
        )
    ledger = _checked_ledger(ledger, folder / "ledger.parquet", problems)
    arms = _arms(info, ledger, problems)
    return Study(
        key=key, folder=folder, info=info, arms=arms, ledger=ledger, trials=trials, scores=scores,
        audits=audits, problems=tuple(problems),
    )  # fmt: skip


def _read_info(folder: Path) -> dict[str, Any]:
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
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{path}: cannot be read ({error}); run the study's command again to rewrite it"
        ) from None
    if not isinstance(info, dict) or not isinstance(info.get("arms"), list):
        raise ReportError(f"{path}: names no arms, so it was not written by learner_ray.sweep")
    return info


def _read_table(path: Path, required: list[str], problems: list[str], lost: str) -> pd.DataFrame:
    """A parquet file, or an empty table and a line in ``problems``."""
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in required})
    if not path.is_file():
        problems.append(f"{path.name} is missing: {lost}")
        return empty
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises several unrelated types on damaged bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        problems.append(
            f"{path.name} is damaged ({reason}); run the study's command again to rebuild it from runs/"
        )
        return empty
    if table.empty:
        problems.append(f"{path.name} has no rows: {lost}")
        return empty
    absent = [name for name in required if name not in table.columns]
    if absent:
        problems.append(
            f"{path.name} lacks the columns {', '.join(absent)}; it was not written by this version"
        )
        return empty
    return table


def _checked_ledger(ledger: pd.DataFrame, path: Path, problems: list[str]) -> pd.DataFrame:
    """Rows with a valid class and probabilities, and the predicted class."""
    if ledger.empty:
        return ledger.assign(y_pred=pd.Series(dtype=np.int64))
    p = ledger[PROBABILITIES].to_numpy(dtype=np.float64)
    good = ledger["y_true"].isin([0, 1, 2]).to_numpy() & np.isfinite(p).all(axis=1)
    if not good.all():
        first = ledger[~good].iloc[0]
        problems.append(
            f"{path.name}: {int((~good).sum())} rows have no valid class or probability and are left out, "
            f"the first being row {int(np.flatnonzero(~good)[0])} of run {first['run_hash']}"
        )
    columns = ["arm", "repeat", "fold", "seed", "patient", "pair"]
    repeated = ledger.duplicated(columns).to_numpy()
    if repeated.any():
        problems.append(
            f"{path.name}: {int(repeated.sum())} rows repeat a pair of the same run and are left out"
        )
    kept = ledger[good & ~repeated].reset_index(drop=True)
    if "y_pred" not in kept:
        kept["y_pred"] = kept[PROBABILITIES].to_numpy(dtype=np.float64).argmax(axis=1)
    integers = dict.fromkeys(("repeat", "fold", "seed", "y_true", "y_pred"), np.int64)
    typed: pd.DataFrame = kept.astype(integers)
    return typed


def _arms(info: dict[str, Any], ledger: pd.DataFrame, problems: list[str]) -> tuple[Arm, ...]:
    arms = [
        Arm(
            name=str(arm["name"]),
            label=str(arm.get("label") or arm["name"]),
            control=bool(arm.get("control", False)),
            edits=dict(arm.get("edits") or {}),
            searched=tuple(arm.get("searched") or ()),
        )
        for arm in info["arms"]
    ]
    declared = {arm.name for arm in arms}
    present = set(ledger["arm"].unique()) if len(ledger) else set()
    if len(ledger):
        problems.extend(f"arm {arm.label} has no final run" for arm in arms if arm.name not in present)
        if str(info.get("reference", "mse")) not in present:
            problems.append(
                f"the reference arm {info.get('reference', 'mse')} has no final run: nothing is compared"
            )
    for name in sorted(present - declared):
        problems.append(
            f"arm {name} is in the ledger but not in study.json; it is shown as a control, untested"
        )
        arms.append(Arm(name=name, label=name, control=True))
    return tuple(arms)
