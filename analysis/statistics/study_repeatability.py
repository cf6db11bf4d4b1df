"""How well a study's score repeats, the scores that its arms predict, and their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.embeddings import read_embeddings
from analysis.results.final_runs import RUN
from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS, patient_weights
from analysis.statistics.metrics import Array
from analysis.statistics.repeatability import (
    FEWEST_PATIENTS,
    GroupSums,
    Repeatability,
    group_sums,
    repeatability,
)

RETEST_DAYS = 1.0
"""Two visits of one patient fewer days apart than this count as retests of the score, where a study declares
no other number: by default visits within one day."""


@dataclass(frozen=True, kw_only=True)
class Retests:
    """How well one thing repeats, or why that is not estimable."""

    arm: str
    """Name of the arm; empty for the score itself."""
    what: str
    """``score``, ``predicted score`` or ``embedding``."""
    retests: int = 0
    """Groups (visits, or pairs of visits) that hold two values or more, each counted once."""
    patients: int = 0
    """Patients that have such a group."""
    found: Repeatability | None = None
    why_not: str = ""
    """Why there is no estimate; empty where there is one."""

    @property
    def row(self) -> dict[str, Any]:
        """The numbers as columns of a table; the embedding has no unit, hence no SEM and no MDC."""
        row: dict[str, Any] = {"arm": self.arm, "what": self.what, "retests": self.retests}
        row |= {"patients": self.patients, "why_not": self.why_not}
        for name in ("icc", *(("sem", "mdc") if self.what != "embedding" else ())):
            value, low, high = getattr(self.found, name) if self.found else (np.nan,) * 3
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        return row


def study_repeatability(study: StudyResults, draws: int = DRAWS) -> list[Retests]:
    """Estimate how well the score repeats, then what each arm with an encoder predicts and its embeddings."""
    found = [score_retests(study, draws)]
    failed = set(study.runs.index[study.runs["imputed_runs"] > 0])
    scans = study.compared_scores
    for arm in study.ordered_arms:
        own = scans[scans["arm"] == arm] if len(scans) else scans
        if own.empty:
            continue
        if arm in failed:
            why = "final runs failed"
            found += [Retests(arm=arm, what=what, why_not=why) for what in ("predicted score", "embedding")]
            continue
        found += [predicted_retests(own, arm, draws), embedding_retests(study, own, arm, draws)]
    return found


def retest_days(study: StudyResults) -> float:
    """Return below how many days apart two visits count as retests, as the study declared it."""
    return float(study.info.get("retest_days") or RETEST_DAYS)


def score_retests(study: StudyResults, draws: int = DRAWS) -> Retests:
    """Estimate how well the score repeats: over the ratings of one visit, else over visits close in time.

    Ratings stand in ratings.parquet, where scans of a visit were scored one by one. Pairs of visits are those
    of the ledger, consecutive ones fewer than ``retest_days`` apart; a visit in two pairs counts in both.
    What truly changed between them counts as error.
    """
    if len(study.ratings):
        return _estimated("", "score", [study.ratings], "rating", ["patient", "visit"], draws)
    pairs = study.ledger.drop_duplicates(["patient", "pair"])
    if not {"interval_days", "score_earlier", "score_later"} <= set(pairs):
        return Retests(arm="", what="score", why_not="the ledger has no scores of visits")
    if not study.cohort.get("temporal", True) or pairs["interval_days"].isna().all():
        return Retests(arm="", what="score", why_not="the times of visits are not known")
    close = pairs[pairs["interval_days"].abs() < retest_days(study)]
    both = pd.concat([close.assign(rating=close[name]) for name in ("score_earlier", "score_later")])
    return _estimated("", "score", [both], "rating", ["patient", "pair"], draws)


def predicted_retests(scans: pd.DataFrame, arm: str, draws: int = DRAWS) -> Retests:
    """Estimate how well the predicted score repeats over the clips of a visit, within each run."""
    if "visit" not in scans:
        return Retests(arm=arm, what="predicted score", why_not="the scores name no visits")
    runs = [run for _, run in scans.groupby(RUN)]
    return _estimated(arm, "predicted score", runs, "predicted", ["patient", "visit"], draws)


def embedding_retests(study: StudyResults, scans: pd.DataFrame, arm: str, draws: int = DRAWS) -> Retests:
    """Estimate how well embeddings repeat over the clips of a visit, within each run.

    Embeddings are scaled to length 1, so that squared distances are twice the cosine distances of the ledger
    and runs of all encoders have one scale.
    """
    if "visit" not in scans or not scans.duplicated([*RUN, "patient", "visit"]).any():
        return Retests(arm=arm, what="embedding", why_not="no visit repeats")
    tables = (
        [read_embeddings(study, str(run)) for run in scans["run_hash"].unique()]
        if "run_hash" in scans
        else []
    )
    known = [table for table in tables if table is not None]
    if not known or len(known) < len(tables):
        return Retests(arm=arm, what="embedding", why_not="embeddings of final runs are not stored")
    return _estimated(arm, "embedding", known, "embedding", ["patient", "visit"], draws)


def _estimated(
    arm: str, what: str, runs: list[pd.DataFrame], value: str, group: list[str], draws: int
) -> Retests:
    """Group the values of each run and estimate, where enough patients have retests."""
    runs = [run.dropna(subset=[value]) for run in runs]
    everyone = pd.Index(sorted({str(patient) for run in runs for patient in run["patient"]}))
    keys = pd.concat([run[run.duplicated(group, keep=False)][group] for run in runs]).drop_duplicates()
    patients = int(keys["patient"].nunique())
    counted = Retests(arm=arm, what=what, retests=len(keys), patients=patients)
    if patients < FEWEST_PATIENTS:
        few = (
            f"visits repeat in {patients} patient{'s' if patients > 1 else ''}, fewer than {FEWEST_PATIENTS}"
        )
        return _without(counted, few if patients else "no visit repeats")
    sums = [_sums(run, value, group, everyone) for run in runs]
    known = [run for run in sums if run.retests]
    weights = patient_weights(len(everyone), draws)
    found = repeatability(known, weights)
    if not np.isfinite(found.icc[0]):
        return _without(counted, "the values do not differ")
    return Retests(arm=arm, what=what, retests=len(keys), patients=patients, found=found)


def _without(counted: Retests, why: str) -> Retests:
    return Retests(
        arm=counted.arm, what=counted.what, retests=counted.retests, patients=counted.patients, why_not=why
    )


def _sums(run: pd.DataFrame, value: str, group: list[str], everyone: pd.Index[str]) -> GroupSums:
    values: Array = np.stack([np.asarray(v, dtype=np.float64) for v in run[value]])
    if values.ndim > 1:
        values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    number = run.groupby(group).ngroup().to_numpy().astype(np.int64)
    patient = everyone.get_indexer(pd.Index(run["patient"].astype(str))).astype(np.int64)
    return group_sums(values, number, patient, len(everyone))
