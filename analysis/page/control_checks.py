"""Checks against chance and against simpler explanations: controls, shuffled labels, the class threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.page.check import Check
from analysis.results.study import StudyResults
from analysis.statistics.sensitivity import threshold_sensitivity
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import interval_text


def label_shuffle(statistics: StudyStatistics) -> Check:
    """Check that an arm fitted on permuted progression labels is at chance."""
    study = statistics.study
    shuffled = [a.name for a in study.arms if a.edits.get("progression.shuffle_labels")]
    metrics = statistics.comparison.metrics
    own = metrics[metrics["arm"].isin(shuffled) & (metrics["metric"] == "balanced_accuracy")]
    looked = "balanced accuracy of the arm with permuted progression labels; chance is 0.333"
    if own.empty:
        return Check(
            name="Label shuffle", status="not checked", looked_at=looked, found="no such arm was run"
        )
    if reason := _no_answer(study, shuffled):
        return Check(name="Label shuffle", status="not checked", looked_at=looked, found=reason)
    row = own.iloc[0]
    covers = row["low"] <= 1 / 3 <= row["high"]
    found = f"{interval_text(row)}, which {'covers' if covers else 'does not cover'} chance"
    return Check(name="Label shuffle", status="green" if covers else "red", looked_at=looked, found=found)


def beaten_controls(statistics: StudyStatistics) -> list[Check]:
    """Check that the best arm beats what needs no image: the earlier score alone, and metadata alone."""
    study, metrics = statistics.study, statistics.comparison.metrics
    values = metrics[metrics["metric"] == study.primary_metric].set_index("arm")["value"]
    arms = [arm.name for arm in study.arms if not arm.control and arm.name in values.index]
    sign = 1 if statistics.primary_metric.higher_is_better else -1
    best = max(arms, key=lambda arm: sign * values[arm], default="")
    found = []
    for kind, title in (("earlier_score", "Earlier score alone"), ("metadata", "Metadata alone")):
        own = [
            a.name for a in study.arms if a.edits.get("progression.input") == kind and a.name in values.index
        ]
        looked = "a control that sees no image, against the best arm"
        if not own or not best:
            text = "no such control was run: regression to the mean is not ruled out"
            found.append(Check(name=title, status="amber", looked_at=looked, found=text))
            continue
        if reason := _no_answer(study, own):
            found.append(Check(name=title, status="not checked", looked_at=looked, found=reason))
            continue
        ahead = sign * values[best] > sign * values[own[0]]
        text = f"{study.labels[best]} {values[best]:.3f}, control {values[own[0]]:.3f}"
        found.append(Check(name=title, status="green" if ahead else "red", looked_at=looked, found=text))
    return found


def class_threshold(statistics: StudyStatistics) -> Check:
    """Check that no arm's difference changes sign when the change of score that counts is another."""
    table = threshold_sensitivity(statistics.study, statistics.primary_metric)
    looked = "sign of each arm's difference when the change that counts is smaller and larger"
    if reason := statistics.study.withheld:
        return Check(name="Class threshold", status="not checked", looked_at=looked, found=reason)
    if table.empty:
        return Check(
            name="Class threshold", status="not checked", looked_at=looked, found="no threshold recorded"
        )
    signs = table.groupby("arm")["difference"].agg(lambda d: len(set(np.sign(d))))
    turned = [statistics.study.labels.get(str(arm), str(arm)) for arm in signs.index[signs > 1]]
    thresholds = ", ".join(f"{t:g}" for t in sorted(set(table["threshold"])))
    found = f"at {thresholds}: " + (f"{', '.join(turned)} change sign" if turned else "no arm changes sign")
    return Check(name="Class threshold", status="amber" if turned else "green", looked_at=looked, found=found)


def _no_answer(study: StudyResults, arms: Sequence[str]) -> str:
    """Why arms say nothing: the study has no verdicts, or the majority class stands for runs that failed."""
    if study.withheld:
        return study.withheld
    failed = study.runs["imputed_runs"].reindex(list(arms)) > 0
    return "final runs of it failed, and the majority class stands for them" if failed.any() else ""
