"""The one sentence that stands above everything else on the page."""

from __future__ import annotations

import pandas as pd

from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import interval_text, number


def headline(statistics: StudyStatistics) -> str:
    """Say in one sentence what a study found: which arms are shown to be better or worse than the reference,
    or that none is. The sentences below it say of each arm how sure that is."""
    study, tests = statistics.study, statistics.comparison.tests
    reference = study.labels.get(study.reference, study.reference)
    if study.ledger.empty or study.withheld or tests.empty:
        return f"{study.title}: no verdict yet."
    supported = [row for _, row in tests.iterrows() if row["verdict"] == "supported"]
    if not supported:
        arms = "the one arm" if len(tests) == 1 else f"none of {len(tests)} arms"
        shown = "is not shown" if len(tests) == 1 else "is shown"
        return f"{study.title}: {arms} {shown} to differ from {reference}."
    claims = [_claim(statistics, row) for row in supported]
    return f"{study.title}: {'; '.join(claims)}: supported."


def _claim(statistics: StudyStatistics, row: pd.Series[float]) -> str:
    study, metric = statistics.study, statistics.primary_metric
    direction = metric.word(number(row, "difference"))
    reference = study.labels.get(study.reference, study.reference)
    numbers = f"{interval_text(row, 'difference', sign='+')} {metric.heading}"
    return f"{study.labels[str(row['arm'])]} is {direction} than {reference} ({numbers})"
