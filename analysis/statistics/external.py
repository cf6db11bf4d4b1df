"""The arms of a study on its external cohort, whose patients neither search nor training has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.results.final_runs import RUN, common_rows
from analysis.results.study import StudyResults
from analysis.results.with_earlier_score import SUFFIX, lacking_runs
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
    control: str
    """Name of the arm that sees the earlier score alone; empty where it was not tested there."""
    combined: tuple[str, ...]
    """Names of the arms that are compared with it, each combined with the earlier score: those all of whose
    final runs that were tested there have such rows."""
    beyond: Comparison
    """The control and these arms, named with `` + earlier score``; contrasts are with the control."""


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
    arms = [arm for arm in study.ordered_arms if arm in present]
    control, combined = study.control_seeing("earlier_score"), study.external_with_earlier_score
    lacking = lacking_runs(study.external, combined) if len(combined) and control in present else {}
    pooled = tuple(arm for arm in arms if lacking.get(arm) == 0)
    names = [control, *(f"{arm}{SUFFIX}" for arm in pooled)] if pooled else []
    rows = pd.concat([study.external, combined], ignore_index=True) if pooled else ledger
    return ExternalComparison(
        ledger=ledger,
        comparison=_compared(ledger, arms, study.reference, primary, study.endpoint),
        untested=_untested(study),
        control=control if pooled else "",
        combined=pooled,
        beyond=_compared(common_rows(rows[rows["arm"].isin(names)]), names, control, primary, study.endpoint),
    )


def _compared(
    ledger: pd.DataFrame, arms: Sequence[str], reference: str, primary: ReportMetric, endpoint: str
) -> Comparison:
    """Metrics and contrasts with the reference, each final run a round of its own; no p."""
    runs = ledger.assign(repeat=0, fold=0, seed=ledger.groupby(RUN).ngroup())
    found = compare_counts(
        confusion_counts(runs, tuple(arms)),
        reference=reference,
        family=(),
        primary=primary,
        endpoint=endpoint,
    )
    return Comparison(found.metrics, found.contrasts.drop(columns="p", errors="ignore"), pd.DataFrame())


def _untested(study: StudyResults) -> int:
    own, there = (
        set(table[["arm", *RUN]].drop_duplicates().itertuples(index=False, name=None))
        for table in (study.ledger, study.external)
    )
    return len(own - there)
