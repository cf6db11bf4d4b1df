"""The verdicts of a study in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.cap import CONFIGURATION_ONLY, EXPLORATORY
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import interval_text, number, p_text


def verdict_sentences(statistics: StudyStatistics) -> list[str]:
    """Say in one sentence per arm how it compares with the reference, or why it is not compared."""
    study, tests = statistics.study, statistics.comparison.tests
    if study.ledger.empty:
        return [f"{study.title}: no final run can be read, so nothing is compared."]
    if study.withheld:
        return [f"{study.title}: no verdicts ({study.withheld})."]
    if tests.empty:
        return [f"{study.title}: no arm is tested against the reference {study.reference}."]
    sentences = [_verdict(statistics, row) for _, row in tests.iterrows()]
    absent = [study.labels.get(arm, arm) for arm in study.family if arm not in set(tests["arm"])]
    return sentences + [f"{study.title}: {label} has no final run." for label in absent]


def _verdict(statistics: StudyStatistics, row: pd.Series[Any]) -> str:
    study, metric = statistics.study, statistics.primary_metric
    arm, reference = study.labels[row["arm"]], study.labels.get(study.reference, study.reference)
    difference = number(row, "difference")
    direction = metric.word(difference)
    numbers = f"{interval_text(row, 'difference', sign='+')} {metric.heading}, Holm p {p_text(row['p_holm'])}"
    word = str(row["verdict"])
    if word == "supported":
        claim = f"{arm} is {direction} than {reference}: supported"
    elif word == CONFIGURATION_ONLY:
        why = statistics.standing.configuration[row["arm"]]
        claim = f"{arm} is {direction} than {reference}: {word}, which says nothing of a loss ({why})"
    elif word.startswith(EXPLORATORY):
        reasons = "; ".join(statistics.standing.exploratory[row["arm"]])
        claim = f"{arm} against {reference} is {EXPLORATORY}, which supports nothing: {reasons}"
    elif word == "not tested" and row["test_folds"] < 2:
        claim = f"{arm} against {reference} cannot be tested on fewer than two test folds"
    elif word == "not tested":
        claim = f"{arm} against {reference} cannot be tested: {metric.label} is not defined in some run"
    else:
        claim = f"{arm} is not shown to differ from {reference}: not supported"
    return (
        f"{study.title}: {claim} ({numbers}).{_put_in(study, row) or _equivalence(metric, row)}{_more(row)}"
    )


def _more(row: pd.Series[Any]) -> str:
    """With how many further runs a difference like this one would be supported, if that is known."""
    for name in ("seed", "repeat"):
        if n := int(number(row, f"more_{name}s")):
            return (
                f" With {n} more {name}{'s' if n > 1 else ''} a difference like this one would be supported."
            )
    return ""


def _put_in(study: StudyResults, row: pd.Series[Any]) -> str:
    """What becomes of the verdict when the other arm's predictions stand for failed runs, if any."""
    failed = study.runs["imputed_runs"].reindex([row["arm"], study.reference]).fillna(0)
    # Holm's p of an arm changes with those of others, whose runs may have failed.
    if not failed.any() and row.get("verdict_counted") == row.get("verdict_put_in"):
        return ""
    runs = " and ".join(f"{int(n)} of {study.labels[str(arm)]}" for arm, n in failed.items() if n)
    counted = f"{row['verdict_counted']} (Holm p {p_text(number(row, 'p_holm'))})"
    put_in = f"{number(row, 'difference_put_in'):+.3f}, Holm p {p_text(number(row, 'p_holm_put_in'))}"
    return (
        f" Final runs that failed: {runs or 'of other arms'}. With the majority class in their place: "
        f"{counted}; with the other arm's predictions in their place: {row['verdict_put_in']} ({put_in})."
    )


def _equivalence(metric: ReportMetric, row: pd.Series[Any]) -> str:
    parts = [number(row, f"rope_{name}") for name in ("worse", "equivalent", "better")]
    if not np.isfinite(parts).all():
        return ""
    worse, same, better = (f"{100 * p:.0f} %" for p in parts)
    return f" Probability of worse / within {metric.margin_text} / better: {worse} / {same} / {better}."
