"""The arms of a study on its external cohort, whose patients neither search nor training has seen."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.results.final_runs import RUN, common_rows
from analysis.results.study import StudyResults
from analysis.statistics.compare import Comparison, compare_counts
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import ReportMetric


@dataclass(frozen=True, kw_only=True)
class ExternalComparison:
    """The metrics of one study's arms on its external cohort, and their differences with the reference."""

    ledger: pd.DataFrame
    """The rows compared: those of pairs that all arms have predicted in the same final run."""
    comparison: Comparison
    """Metrics and contrasts; there are no tests, since the error rates of verdicts were measured in
    cross-validation, where one final run of a partition tests a patient, and not all of them."""
    untested: int
    """Final runs in the study's ledger that were not tested there."""


def external_comparison(study: StudyResults, primary: ReportMetric) -> ExternalComparison | None:
    """Compare the arms of a study on its external cohort; None where no final run was tested there.

    Every final run predicts every patient there, so each is a round of its own that tests all of them: what
    runs of all folds and seeds differ by is the training part of the intervals.

    Args:
        study: as ``load`` gives it.
        primary: the study's primary metric.
    """
    ledger = common_rows(study.external)
    if ledger.empty:
        return None
    present = set(ledger["arm"])
    runs = ledger.assign(repeat=0, fold=0, seed=ledger.groupby(RUN).ngroup())
    found = compare_counts(
        confusion_counts(runs, tuple(arm for arm in study.ordered_arms if arm in present)),
        reference=study.reference,
        family=(),
        primary=primary,
        endpoint=study.endpoint,
    )
    contrasts = found.contrasts.drop(columns="p", errors="ignore")
    comparison = Comparison(found.metrics, contrasts, pd.DataFrame())
    return ExternalComparison(ledger=ledger, comparison=comparison, untested=_untested(study))


def _untested(study: StudyResults) -> int:
    own, there = (
        set(table[["arm", *RUN]].drop_duplicates().itertuples(index=False, name=None))
        for table in (study.ledger, study.external)
    )
    return len(own - there)
