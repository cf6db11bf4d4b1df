"""The measurement properties of a study in sentences: reliability, calibration, use, equivalence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.cap import CONFIGURATION_ONLY
from analysis.statistics.net_benefit import TREAT_ALL
from analysis.statistics.study_repeatability import Retests
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import interval_text, p_text

FEWEST_PAIRS = 10
"""Pairs that must lie on either side of a threshold before a sentence says anything of it."""


def measurement_sentences(statistics: StudyStatistics) -> list[str]:
    """Say what was found of reliability, calibration, net benefit and equivalence; nothing without a run."""
    if statistics.study.compared.empty:
        return []
    return [
        *_reliability(statistics),
        *_calibration(statistics),
        *_use(statistics),
        *_equivalence(statistics),
    ]


def _reliability(statistics: StudyStatistics) -> list[str]:
    """One sentence per thing that repeats, and one per reason why others are not estimable."""
    study, retests = statistics.study, statistics.measurement.retests
    said = [_retests(study, each) for each in retests if each.found]
    for why in dict.fromkeys(each.why_not for each in retests if not each.found):
        what = "; ".join(_named(study, each) for each in retests if not each.found and each.why_not == why)
        said.append(f"Reliability not estimable ({why}): {what}.")
    return said


def _named(study: StudyResults, each: Retests) -> str:
    score = study.cohort.get("score") or {}
    return f"{study.labels[each.arm]}, {each.what}" if each.arm else str(score.get("name", "score"))


def _retests(study: StudyResults, each: Retests) -> str:
    score = study.cohort.get("score") or {}
    start = f"Reliability of {_named(study, each)}"
    row, unit = pd.Series(each.row), f" {score['unit']}" if score.get("unit") else ""
    counted = (
        f"ICC(1) {interval_text(row, 'icc', 'icc_')}, {each.retests} retests of {each.patients} patients"
    )
    if each.what == "embedding":
        return f"{start}: {counted}."
    mdc = f"minimal detectable change {interval_text(row, 'mdc', 'mdc_')}{unit}"
    if each.arm:  # a prediction that hardly varies has a small one, and no merit
        return f"{start}: {counted}; {mdc}."
    return f"{start}: {counted}; {mdc}.{beside_threshold(row, score.get('change_threshold'), unit)}"


def beside_threshold(row: pd.Series[Any], threshold: float | None, unit: str) -> str:
    """Set the change threshold beside a minimal detectable change and its interval, in a sentence."""
    if threshold is None:
        return ""
    named = f" The threshold of {threshold:g}{unit}"
    if threshold < row["mdc_low"]:
        return f"{named} lies below it and below its interval: classes are noisy."
    if threshold > row["mdc_high"]:
        return f"{named} lies above it and above its interval."
    side = "below" if threshold < row["mdc"] else "at or above"
    noisy = "classes may be noisy" if threshold < row["mdc"] else "classes may still be noisy"
    return f"{named} lies {side} it but within its interval: {noisy}."


def _calibration(statistics: StudyStatistics) -> list[str]:
    """Per arm, the classes where the interval of slope or intercept leaves out the right value."""
    found, study = statistics.measurement.calibration, statistics.study
    said = []
    for arm in [arm.name for arm in study.arms if not arm.control]:
        own = found[found["arm"] == arm].dropna(subset=["slope"]) if len(found) else found
        if own.empty:
            continue
        wrong = [text for _, row in own.iterrows() for text in _miscalibrated(row)]
        said.append(
            f"Calibration of {study.labels[arm]} ({2 * len(own)} intervals, each of 95 %): "
            + ("; ".join(wrong) if wrong else "none leaves out the right value, which proves no calibration")
            + "."
        )
    return said


def _miscalibrated(row: pd.Series[Any]) -> list[str]:
    said = {"slope": slope_error(row["slope_low"], row["slope_high"])}
    if row["intercept_high"] < 0 or row["intercept_low"] > 0:
        said["intercept"] = "too high" if row["intercept_high"] < 0 else "too low"
    return [
        f"{row['class']} {how} ({name} {interval_text(row, name, f'{name}_')})"
        for name, how in said.items()
        if how
    ]


def slope_error(low: float, high: float) -> str:
    """Say what the interval of a calibration slope shows to be wrong; empty where it holds 1."""
    if low > 1:
        return "too moderate"
    if high >= 1:
        return ""
    return "too extreme" if low > 0 else "the wrong way round" if high < 0 else "without a relation shown"


def _use(statistics: StudyStatistics) -> list[str]:
    """Per arm, the thresholds at which the band of all thresholds lies above acting on all and on none."""
    curves, study = statistics.measurement.net_benefit, statistics.study
    if study.withheld:  # numbers that will change are shown, but nothing is claimed of them
        return []
    said = []
    for arm in [arm.name for arm in study.arms if not arm.control]:
        own = curves[curves["arm"] == arm]
        if own.empty or arm == TREAT_ALL:
            continue
        better = _ranges(study, own, "default_band_low")
        text = f"Net benefit of {study.labels[arm]} for worse: above acting on all and on none "
        text += f"at thresholds {better}" if better else "at no threshold"
        if "control_band_low" in own:
            ahead = _ranges(study, own, "control_band_low")
            text += "; above the earlier score alone " + (f"at {ahead}" if ahead else "at none")
        said.append(
            f"{text} (95 % band over all thresholds, of patients and training; where at least "
            f"{FEWEST_PAIRS} pairs are acted on and not)."
        )
    return said


def _ranges(study: StudyResults, own: pd.DataFrame, column: str) -> str:
    """The stretches of thresholds where a lower limit lies above zero: ``0.12-0.30, 0.41``; only where
    enough pairs lie on both sides, for a bootstrap cannot draw the missed decline that nobody had."""
    pairs = len(study.compared.drop_duplicates(["patient", "pair"]))
    least = FEWEST_PAIRS / pairs
    above = ((own[column] > 1e-9) & own["acted"].between(least, 1 - least)).to_numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above, [0]]).astype(int)))
    t = own["threshold"].to_numpy()
    ends = [(t[a], t[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return ", ".join(f"{a:.2f}" if a == b else f"{a:.2f}-{b:.2f}" for a, b in ends)


def _equivalence(statistics: StudyStatistics) -> list[str]:
    study, metric = statistics.study, statistics.primary_metric
    said = []
    for _, row in statistics.measurement.equivalence.iterrows():
        arms = f"{study.labels[row['arm']]} and {study.labels.get(study.reference, study.reference)}"
        numbers = (
            f"90 % interval of the difference in {metric.label} {row['low']:+.3f} to {row['high']:+.3f}, "
        )
        numbers += f"Holm p {p_text(row['p_holm'])}"
        alone = f" {CONFIGURATION_ONLY}" if row["arm"] in statistics.standing.configuration else ""
        claim = f"equivalent within ±{row['margin']:g}{alone}" if row["equivalent"] else (
            f"not shown to be equivalent within ±{row['margin']:g}"
        )  # fmt: skip
        said.append(f"{arms}: {claim} (TOST, {numbers}).")
    return said


def measurement_methods(statistics: Sequence[StudyStatistics]) -> str:
    """Write a Methods paragraph on what was computed of the measurement properties; empty if nothing was."""
    shown = [item for item in statistics if len(item.study.compared)]
    if not shown:
        return ""
    parts = [_repeatability_methods(item) for item in shown]
    parts.append(
        "Calibration is given as intercept (slope fixed at 1) and slope of the logistic recalibration of "
        "each class against the rest (Van Calster et al. 2019), the slope within final runs. Decision "
        "curves (Vickers and Elkin 2006) show the net benefit of acting on the probability of worse. Their "
        "intervals come from the t statistic of the metrics, by influences, and hold patients and training; "
        "bands over all thresholds are widened by a patient bootstrap (sup-t)."
    )
    margins = dict.fromkeys(
        f"±{m:g}" for item in shown for m in item.measurement.equivalence.get("margin", ())
    )
    if margins:
        parts.append(
            "Equivalence with the reference was tested by two one-sided tests (Schuirmann 1987) within "
            f"{' and '.join(margins)} of the primary metric, by the rule behind the verdicts, adjusted by "
            "Holm."
        )
    return " ".join(part for part in parts if part)


def _repeatability_methods(statistics: StudyStatistics) -> str:
    kinds = dict.fromkeys(each.what for each in statistics.measurement.retests if each.found)
    if not kinds:
        return ""
    return (
        f"{statistics.study.title}: the reliability of {', '.join(kinds)} is ICC(1), one-way random "
        "effects, single measurements (Shrout and Fleiss 1979), with the minimal detectable change 1.96 √2 "
        "SEM where there is a unit; final runs were analysed one by one and their variances averaged. Its "
        "intervals are those of a patient bootstrap of the same final runs, without training noise."
    )
