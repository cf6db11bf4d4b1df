"""Everything that is computed from one study's ledger and scores, once."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS
from analysis.statistics.compare import Comparison, compare
from analysis.statistics.incremental import IncrementalValue, incremental_value
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.ordinal import ordinal_by_arm
from analysis.statistics.proper_scores import proper_scores
from analysis.statistics.rank_correlation import spearman_by_arm
from analysis.statistics.study_metric import primary_metric


@dataclass(frozen=True)
class StudyStatistics:
    """The statistics of one study, computed once and used by every table, every figure and the page."""

    study: StudyResults
    primary_metric: ReportMetric
    """The metric that verdicts are about."""
    comparison: Comparison
    proper_scores: pd.DataFrame
    """Brier score and log-loss per arm."""
    spearman: pd.DataFrame
    """Out-of-fold rank correlation of predicted and true scores, one row per arm."""
    distance: pd.DataFrame
    """Out-of-fold rank correlation of embedding distance and size of the score's change, one row per arm."""
    incremental: IncrementalValue
    """What arms add to the earlier score alone."""
    ordinal: pd.DataFrame
    """Odds ratios of a proportional-odds model, one row per arm."""
    draws: int
    """How many bootstrap draws the intervals rest on."""

    @property
    def arms(self) -> list[str]:
        """Names of the arms that have final runs, as declared, controls last."""
        present = set(self.study.compared["arm"].unique())
        return [arm for arm in self.study.ordered_arms if arm in present]


def study_statistics(study: StudyResults, draws: int = DRAWS) -> StudyStatistics:
    """Compute everything that the report needs from one study's ledger and scores.

    An arm some of whose final runs failed has no correlation of scores and distances: those runs gave none,
    and what is left would be an average over what survived.

    Args:
        study: as ``load`` gives it.
        draws: of the patient bootstrap.

    Raises:
        ReportError: study.json names a primary metric that does not exist or cannot be had.
    """
    primary = primary_metric(study)
    pairs, scans = (_of_whole_arms(study, t) for t in (study.compared, study.compared_scores))
    return StudyStatistics(
        study=study,
        primary_metric=primary,
        comparison=compare(study, primary, draws),
        proper_scores=proper_scores(study.compared, draws),
        spearman=spearman_by_arm(scans, "score", "predicted", draws),
        distance=spearman_by_arm(with_absolute_change(pairs), "absolute_change", "distance", draws),
        incremental=incremental_value(study, primary, draws),
        ordinal=ordinal_by_arm(pairs),
        draws=draws,
    )


def _of_whole_arms(study: StudyResults, table: pd.DataFrame) -> pd.DataFrame:
    failed = study.runs.index[study.runs["imputed_runs"] > 0]
    return table[~table["arm"].isin(failed)]


def with_absolute_change(ledger: pd.DataFrame) -> pd.DataFrame:
    """Add ``absolute_change`` to a ledger, and ``distance``, both NaN where an old ledger lacks them."""
    known = {"change", "distance"} <= set(ledger.columns)
    empty = pd.Series(float("nan"), index=ledger.index)
    return ledger.assign(
        absolute_change=ledger["change"].abs() if known else empty,
        distance=ledger["distance"] if known else empty,
    )
