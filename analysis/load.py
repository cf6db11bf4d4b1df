"""Results folders to tidy DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.names import printable
from analysis.reading import (
    AUDIT_COLUMNS,
    FINAL_COLUMNS,
    LEDGER_COLUMNS,
    SCORE_COLUMNS,
    TRIAL_COLUMNS,
    Faults,
    checked_ledger,
    read_info,
    read_table,
)
from analysis.runs import common_rows, count_runs, rows_of_runs


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
    """One row per final run and test pair, with the predicted class in ``y_pred``. ``imputed`` marks the rows
    of a run that failed or diverged: the majority class of its training patients stands there."""
    trials: pd.DataFrame
    scores: pd.DataFrame
    audits: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*AUDIT_COLUMNS]))
    """One row per chosen trial that was trained again on its own patients under another seed."""
    finals: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*FINAL_COLUMNS]))
    """One row per final run that has ended: how, and why where it failed."""
    problems: tuple[str, ...] = ()
    """What is wrong with the folder, in sentences; the report prints each."""
    damaged: bool = False
    """Whether a file of the folder is there but cannot be used as it is."""
    spoilt: bool = False
    """Whether rows of the ledger had to be left out."""

    @property
    def modality(self) -> str:
        return str(self.info.get("modality") or "unknown").upper()

    @property
    def cohort(self) -> dict[str, Any]:
        return dict(self.info.get("cohort") or {})

    @property
    def reference(self) -> str:
        return str(self.info.get("reference") or "mse")

    @property
    def primary_metric(self) -> str:
        return str(self.info.get("primary_metric") or "macro_f1")

    @property
    def labels(self) -> dict[str, str]:
        return {arm.name: arm.label for arm in self.arms}

    @property
    def family(self) -> tuple[str, ...]:
        """Arms tested against the reference: the declared family of comparisons."""
        return tuple(a.name for a in self.arms if not a.control and a.name != self.reference)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Final runs by arm: ``final_runs`` (ended), ``imputed_runs`` of these, ``missing_runs``."""
        return count_runs(self.info, self.labels, self.ledger)

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The rows that every statistic is made of: of pairs that all arms have predicted in the same run."""
        return common_rows(self.ledger)

    @cached_property
    def compared_scores(self) -> pd.DataFrame:
        """The rows of the scores that belong to the same final runs."""
        return rows_of_runs(self.scores, self.compared)

    @property
    def unfinished(self) -> bool:
        """Whether a declared final run is not in the ledger."""
        return bool((self.runs["missing_runs"] > 0).any())

    @property
    def withheld(self) -> str:
        """Why there are no verdicts: the study is unfinished or its ledger damaged; empty where there are."""
        ended, missing = self.runs["final_runs"].sum(), self.runs["missing_runs"].sum()
        if self.spoilt:
            return "rows of the ledger are damaged"
        if self.unfinished:
            return f"unfinished, {ended} of {ended + missing} final runs are in the ledger"
        return ""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What every table and figure must carry: phantom, not temporal, not nested, unfinished, damaged."""
        protocol = str(self.info.get("protocol", "not recorded")).lower()
        found = []
        if self.cohort.get("phantom"):
            found.append("phantom")
        if self.cohort.get("temporal") is False or "not temporal" in protocol:
            found.append("not temporal")
        if not protocol.startswith("nested"):
            found.append("not nested")
        if self.withheld and len(self.ledger):
            found.append("damaged" if self.spoilt else "unfinished")
        return tuple(found)

    @property
    def title(self) -> str:
        """The name and the cautions."""
        return ", ".join([self.name, *self._unsaid])

    @property
    def name(self) -> str:
        """Modality, with the name of the study's folder where that says more."""
        alike = self.key.upper() == self.modality
        return printable(self.modality if alike else f"{self.modality} {self.key}")

    @property
    def _unsaid(self) -> list[str]:
        """Cautions, but for the one that the name holds already: folders are called ``lus-phantom``."""
        return [caution for caution in self.cautions if caution != "phantom" or caution not in self.name]

    def header(self, facts: str) -> str:
        """The title with some facts after the name: ``LUS (189 patients), phantom``."""
        return ", ".join([f"{self.name} ({facts})", *self._unsaid])


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
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise ReportError(f"the same results folder is named twice: {', '.join(map(str, paths))}")
    return Results(tuple(_load_study(*given) for given in zip(paths, _keys(whole), strict=True)))


def _keys(paths: Sequence[Path]) -> list[str]:
    """The end of each path, as short as tells it from the others: ``lus``, or ``A/lus`` and ``B/lus``."""

    def end(path: Path, parts: int) -> tuple[str, ...]:
        return path.parts[-parts:]

    keys = []
    for path in paths:
        others = [other for other in paths if other != path]
        known = (n for n in range(1, len(path.parts)) if end(path, n) not in [end(o, n) for o in others])
        keys.append("/".join(end(path, next(known, len(path.parts)))))
    return keys


def _load_study(folder: Path, key: str) -> Study:
    info, faults = read_info(folder), Faults()

    def read(name: str, columns: dict[str, type], lost: str) -> pd.DataFrame:
        return read_table(folder / f"{name}.parquet", columns, faults, lost)

    raw = read("ledger", LEDGER_COLUMNS, "no final run has been written yet")
    ledger = checked_ledger(raw, folder / "ledger.parquet", faults)
    trials = read("trials", TRIAL_COLUMNS, "the search cannot be summarised")
    scores = read("scores", SCORE_COLUMNS, "scores cannot be compared")
    audits, finals = pd.DataFrame(columns=[*AUDIT_COLUMNS]), pd.DataFrame(columns=[*FINAL_COLUMNS])
    if info.get("audits") and info.get("trials"):
        audits = read("audits", AUDIT_COLUMNS, "the search cannot be audited")
    if (folder / "finals.parquet").exists() and len(ledger):  # an older version wrote none
        finals = read("finals", FINAL_COLUMNS, "nothing is known of final runs that failed")
    study = Study(
        key=key, folder=folder, info=info, arms=_arms(info, ledger, faults.problems), ledger=ledger,
        trials=trials, scores=scores, audits=audits, finals=finals, damaged=faults.damaged,
        spoilt=len(ledger) < len(raw),
    )  # fmt: skip
    return replace(study, problems=(*faults.problems, *_gaps(study)))


def _arms(info: dict[str, Any], ledger: pd.DataFrame, problems: list[str]) -> tuple[Arm, ...]:
    arms = [
        Arm(
            name=arm["name"],
            label=printable(arm.get("label") or arm["name"]),
            control=bool(arm.get("control", False)),
            edits=dict(arm.get("edits") or {}),
            searched=tuple(arm.get("searched") or ()),
        )
        for arm in info["arms"]
    ]
    declared = {arm.name for arm in arms}
    for name in sorted(set(ledger["arm"]) - declared):
        problems.append(
            f"arm {name} is in the ledger but not in study.json; it is shown as a control, untested"
        )
        arms.append(Arm(name=name, label=printable(name), control=True))
    return tuple(arms)


def _gaps(study: Study) -> list[str]:
    """What the ledger lacks of what was declared, in sentences."""
    if study.ledger.empty:
        return []
    ended = study.runs["final_runs"]
    gaps = [f"arm {arm.label} has no final run" for arm in study.arms if not ended[arm.name]]
    if study.reference not in set(study.ledger["arm"]):
        gaps.append(f"the reference arm {study.reference} has no final run: nothing is compared")
    if study.unfinished and not study.spoilt:
        gaps.append(
            f"{study.withheld}: the others have not ended, or failed under a version that left them out. "
            "There are no verdicts; the study's own command goes on with it, or writes its tables anew"
        )
    elif study.withheld:
        gaps.append(f"{study.withheld}: there are no verdicts")
    left = len(study.ledger) - len(study.compared)
    if left:
        gaps.append(
            f"{left} of {len(study.ledger)} rows of the ledger are left out of every table, since not all "
            "arms have predicted their pair in the same final run: all rows of a table are of the same "
            "patients"
        )
    return gaps
