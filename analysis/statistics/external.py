"""The arms of a study on its external cohort, whose patients neither search nor training has seen."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.results.final_runs import RUN, common_rows
from analysis.results.study import StudyResults
from analysis.statistics.compare import Comparison, compare_counts
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.study_statistics import StudyStatistics


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

    @property
    def size(self) -> str:
        """Patients, pairs and classes: ``20 patients, 60 pairs; worse/same/better 20/21/19``."""
        pairs = self.ledger.drop_duplicates(["patient", "pair"])
        counts = "/".join(str(int((pairs["y_true"] == c).sum())) for c in range(3))
        return f"{pairs['patient'].nunique()} patients, {len(pairs)} pairs; worse/same/better {counts}"


def external_comparison(statistics: StudyStatistics) -> ExternalComparison | None:
    """Compare the arms of a study on its external cohort; None where no final run was tested there.

    Every final run predicts every patient there. The counts of a repeat's final runs with one seed are
    added up over folds; patients are resampled, each with the predictions of all runs.
    """
    study = statistics.study
    ledger = common_rows(study.external)
    if ledger.empty:
        return None
    present = set(ledger["arm"])
    found = compare_counts(
        confusion_counts(ledger, tuple(arm for arm in study.ordered_arms if arm in present)),
        reference=study.reference,
        family=(),
        primary=statistics.primary_metric,
        folds=int(study.info.get("folds") or 0),
        draws=statistics.draws,
    )
    contrasts = found.contrasts.drop(columns="p_bootstrap", errors="ignore")
    comparison = Comparison(found.metrics, contrasts, pd.DataFrame())
    return ExternalComparison(ledger=ledger, comparison=comparison, untested=_untested(study))


def _untested(study: StudyResults) -> int:
    own, there = (
        set(table[["arm", *RUN]].drop_duplicates().itertuples(index=False, name=None))
        for table in (study.ledger, study.external)
    )
    return len(own - there)
