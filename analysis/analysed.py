"""A study with its statistics."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.agreement import spearman_by_arm
from analysis.bootstrap import DRAWS
from analysis.compare import Comparison, compare
from analysis.load import Study
from analysis.proper import proper_metrics


@dataclass(frozen=True)
class Analysed:
    """A study with its statistics, computed once and used by every table and figure."""

    study: Study
    comparison: Comparison
    proper: pd.DataFrame
    """Brier score and log-loss per arm."""
    spearman: pd.DataFrame
    """Out-of-fold agreement of predicted and true scores, one row per arm."""
    distance: pd.DataFrame
    """Out-of-fold agreement of embedding distance and size of the score's change, one row per arm."""
    draws: int

    @property
    def arms(self) -> list[str]:
        """Arms that have final runs, as declared, controls last."""
        present = set(self.study.compared["arm"].unique())
        return [arm for arm in ordered_arms(self.study) if arm in present]


def analyse(study: Study, draws: int = DRAWS) -> Analysed:
    """Everything that is computed from one study's ledger and scores.

    An arm some of whose final runs failed has no agreement of scores and distances: those runs gave none, and
    what is left would be an average over what survived.
    """
    pairs, scans = (_of_whole_arms(study, t) for t in (study.compared, study.compared_scores))
    return Analysed(
        study=study,
        comparison=compare(study, draws),
        proper=proper_metrics(study.compared, draws),
        spearman=spearman_by_arm(scans, "score", "predicted", draws),
        distance=spearman_by_arm(with_absolute_change(pairs), "absolute_change", "distance", draws),
        draws=draws,
    )


def _of_whole_arms(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    failed = study.runs.index[study.runs["imputed_runs"] > 0]
    return table[~table["arm"].isin(failed)]


def with_absolute_change(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger with ``absolute_change`` and ``distance``, empty where an old ledger lacks them."""
    known = {"change", "distance"} <= set(ledger.columns)
    empty = pd.Series(float("nan"), index=ledger.index)
    return ledger.assign(
        absolute_change=ledger["change"].abs() if known else empty,
        distance=ledger["distance"] if known else empty,
    )


def ordered_arms(study: Study) -> list[str]:
    """Arms as declared, controls last."""
    return [a.name for a in study.arms if not a.control] + [a.name for a in study.arms if a.control]
