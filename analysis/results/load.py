"""Loading results folders: from paths to studies with checked tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.results.endpoints import PROGRESSION
from analysis.results.errors import ReportError
from analysis.results.names import printable
from analysis.results.parquet_tables import (
    AUDIT_COLUMNS,
    FINAL_COLUMNS,
    LEDGER_COLUMNS,
    PERMUTATION_COLUMNS,
    RATING_COLUMNS,
    SCORE_COLUMNS,
    TRIAL_COLUMNS,
    Faults,
    checked_ledger,
    read_table,
)
from analysis.results.study import DeclaredArm, StudyResults
from analysis.results.study_json import read_study_json
from analysis.results.with_earlier_score import split_ledger


@dataclass(frozen=True)
class LoadedStudies:
    """Studies that are reported side by side and never pooled."""

    studies: tuple[StudyResults, ...]

    @property
    def ledger(self) -> pd.DataFrame:
        """The ledgers of all studies below each other, with the study's key in the column ``study``."""
        frames = [study.ledger.assign(study=study.key) for study in self.studies]
        stacked: pd.DataFrame = pd.concat(frames, ignore_index=True)
        return stacked


def load(folders: Sequence[Path | str]) -> LoadedStudies:
    """Read results folders, of any version.

    A folder whose tables are missing or damaged is loaded with what it has; ``StudyResults.problems`` says
    what is wrong.

    Raises:
        ReportError: no folder is given or one is given twice; a folder is missing or holds no readable
            study.json.
    """
    if not folders:
        raise ReportError("no results folder given; name one, for example results/lus")
    paths = [Path(folder) for folder in folders]
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise ReportError(f"the same results folder is named twice: {', '.join(map(str, paths))}")
    return LoadedStudies(tuple(_load_study(*given) for given in zip(paths, _keys(whole), strict=True)))


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


def _load_study(folder: Path, key: str) -> StudyResults:
    info, faults = read_study_json(folder), Faults()
    endpoint = str(info.get("endpoint") or PROGRESSION)

    def read(name: str, columns: dict[str, type], lost: str) -> pd.DataFrame:
        return read_table(folder / f"{name}.parquet", columns, faults, lost)

    def optional(name: str, columns: dict[str, type], lost: str, wanted: bool = True) -> pd.DataFrame:
        there = wanted and (folder / f"{name}.parquet").exists()
        return read(name, columns, lost) if there else pd.DataFrame(columns=[*columns])

    raw = read("ledger", LEDGER_COLUMNS, "no final run has been written yet")
    rows = checked_ledger(raw, folder / "ledger.parquet", faults, endpoint)
    ledger, combined = split_ledger(rows, [arm["name"] for arm in info["arms"]])
    trials = pd.DataFrame(columns=[*TRIAL_COLUMNS])
    if info.get("trials") != 0:
        trials = read("trials", TRIAL_COLUMNS, "the search cannot be summarised")
    scores = read("scores", SCORE_COLUMNS, "predicted and true scores cannot be compared")
    audits = pd.DataFrame(columns=[*AUDIT_COLUMNS])
    if info.get("audits") and info.get("trials"):
        audits = read("audits", AUDIT_COLUMNS, "selected trials cannot be compared with their re-evaluation")
    # An older version wrote no finals; the others only studies that have what they are about.
    finals = optional("finals", FINAL_COLUMNS, "nothing is known of final runs that failed", len(ledger) > 0)
    permutations = optional("permutations", PERMUTATION_COLUMNS, "shuffled labels cannot be checked")
    ratings = optional("ratings", RATING_COLUMNS, "the score's reliability cannot be estimated")
    external_rows = checked_ledger(
        optional(
            "external",
            LEDGER_COLUMNS,
            "no final run was tested on the external cohort",
            bool(info.get("external")),
        ),
        folder / "external.parquet",
        faults,
        endpoint,
    )
    external, external_combined = split_ledger(external_rows, [arm["name"] for arm in info["arms"]])
    study = StudyResults(
        key=key, folder=folder, info=info, arms=_arms(info, ledger, faults.problems), ledger=ledger,
        trials=trials, scores=scores, audits=audits, finals=finals, permutations=permutations,
        ratings=ratings, external=external, damaged=faults.damaged, spoilt=len(rows) < len(raw),
        with_earlier_score=combined, external_with_earlier_score=external_combined,
    )  # fmt: skip
    return replace(study, problems=(*faults.problems, *_gaps(study)))


def _arms(info: dict[str, Any], ledger: pd.DataFrame, problems: list[str]) -> tuple[DeclaredArm, ...]:
    arms = [
        DeclaredArm(
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
        arms.append(DeclaredArm(name=name, label=printable(name), control=True))
    return tuple(arms)


def _gaps(study: StudyResults) -> list[str]:
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
            "There are no verdicts; run the study's command again: it resumes and rewrites its tables"
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
