"""Checks against simpler explanations: controls that see no image, and the threshold of the classes.

Each is green only where an interval leaves zero out, red only where one lies on the wrong side of it, and
amber between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.page.check import Check, Status
from analysis.results.study import StudyResults
from analysis.statistics.against_control import best_against_control
from analysis.statistics.sensitivity import threshold_sensitivity
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import with_interval

INPUTS = {
    "earlier_score": ("score_earlier",),
    "metadata": ("interval_days", "site", "device"),
    "covariates": ("interval_days", "site", "device", "age", "sex", "education_years"),
}
"""What a control that sees no image is given (``progression.input``), as columns of the ledger."""
WORDS = {"score_earlier": "earlier score", "interval_days": "interval", "education_years": "education"}


@dataclass(frozen=True)
class Question:
    """A simpler explanation of the classes, and the controls that answer whether it will do."""

    title: str
    open_without: str
    """What is not ruled out where no such control was run."""
    controls: tuple[str, ...]
    """Inputs of the controls that answer it, the first that was run alone: a later one is given all that the
    first is, and more."""
    inputs: tuple[str, ...]
    """The columns that it is about."""


QUESTIONS = (
    Question(
        "Earlier score alone",
        "regression to the mean is not ruled out",
        ("earlier_score",),
        INPUTS["earlier_score"],
    ),
    Question(
        "Metadata alone",
        "classes told from the interval, the site or the device are not ruled out",
        ("metadata", "covariates"),
        INPUTS["metadata"],
    ),
    Question(
        "Age, sex and education",
        "classes told from age, sex or education are not ruled out",
        ("covariates",),
        ("age", "sex", "education_years"),
    ),
)
ANSWERS: dict[str, tuple[Status, str]] = {
    "beats": ("green", "the best arm beats the control"),
    "beaten": ("red", "the control beats every arm"),
    "": ("amber", "whether an arm beats the control cannot be told"),
}


def beaten_controls(statistics: StudyStatistics) -> list[Check]:
    """Check that the best arm beats what needs no image: the earlier score, metadata, and metadata with age,
    sex and education where any of these is known."""
    first, second, patients = QUESTIONS
    known, _ = _seen(statistics.study, patients.inputs)
    asked = [first, second, *([patients] if known else [])]
    return [_beaten_control(statistics, question) for question in asked]


def _beaten_control(statistics: StudyStatistics, question: Question) -> Check:
    study, metric, title = statistics.study, statistics.primary_metric, question.title
    arms = [arm.name for arm in study.arms if not arm.control and arm.name in statistics.arms]
    kind = next((kind for kind in question.controls if study.control_seeing(kind)), "")
    looked = (
        f"the best of {len(arms)} arms minus a control that sees no image, {metric.heading}; the choice of "
        "the best is part of the interval"
    )
    if not kind or not arms:
        text = f"no such control was run: {question.open_without}"
        return Check(name=title, status="amber", looked_at=looked, found=text)
    own = study.control_seeing(kind)
    looked += _told(study, kind, question)
    if reason := no_answer(study, [own]):
        return Check(name=title, status="not checked", looked_at=looked, found=reason)
    found = best_against_control(study.compared, arms, own, metric, draws=statistics.draws)
    status, answer = ANSWERS[found.answer]
    difference = with_interval(found.difference, found.low, found.high, sign="+")
    text = f"{study.labels[found.best]} minus {study.labels[own]} {difference}: {answer}"
    return Check(name=title, status=status, looked_at=looked, found=text)


def _told(study: StudyResults, kind: str, question: Question) -> str:
    """What a control was given that can tell one pair from another, and what was none of the question."""
    known, unknown = _seen(study, INPUTS[kind])
    said = f"; the control sees {_listed(known) or 'nothing that differs between pairs'}"
    if unknown:
        said += f" ({_listed(unknown)}: not known, or the same for all pairs)"
    if kind != question.controls[0]:
        said += f"; the control with {_listed(question.inputs)} alone was not run"
    return said


def _seen(study: StudyResults, columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part columns of the ledger into those that differ between pairs and the others; where some pairs lack a
    value that others have, they differ."""
    pairs = study.compared.drop_duplicates(["patient", "pair"])
    values = {name: pairs[name].replace("", None) if name in pairs else pd.Series() for name in columns}
    known = [name for name, column in values.items() if column.nunique(dropna=False) > 1]
    return known, [name for name in columns if name not in known]


def _listed(columns: Sequence[str]) -> str:
    """``interval, site and device``."""
    *first, last = [WORDS.get(name, name) for name in columns] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def class_threshold(statistics: StudyStatistics) -> Check:
    """Check that the arms' differences keep their side when the change of score that counts is another."""
    study, name = statistics.study, "Class threshold"
    looked = "each arm's difference, with its verdict, when the change that counts is smaller and larger"
    if reason := study.withheld:
        return Check(name=name, status="not checked", looked_at=looked, found=reason)
    table = threshold_sensitivity(study, statistics.primary_metric)
    if table.empty:
        return Check(name=name, status="not checked", looked_at=looked, found="no threshold recorded")
    found = {str(arm): rows for arm, rows in table.groupby("arm", sort=False)}
    turned = [arm for arm, rows in found.items() if _turns(rows)]
    settled = table[table["declared"] & (table["verdict"] == "supported")]["arm"].map(str).tolist()
    lost = [arm for arm in settled if not _keeps_its_side(found[arm])]
    status: Status = "red" if turned else "amber" if lost or not settled else "green"
    if turned:
        text = f"{_names(study, turned)} better at one threshold and worse at another"
    elif not settled:
        text = "no difference is supported at the study's own threshold: whether one turns cannot be told"
    elif lost:
        text = f"of {_names(study, lost)} it cannot be told whether the difference stays"
    else:
        text = f"{_names(study, settled)} keep their side, with intervals that leave zero out"
    thresholds = ", ".join(f"{t:g}" for t in sorted(set(table["threshold"])))
    return Check(name=name, status=status, looked_at=looked, found=f"at {thresholds}: {text}")


def _turns(rows: pd.DataFrame) -> bool:
    """Whether an arm's difference is supported on both sides of zero."""
    supported = rows[rows["verdict"] == "supported"]["difference"]
    return bool((supported > 0).any() and (supported < 0).any())


def _keeps_its_side(rows: pd.DataFrame) -> bool:
    """Whether an arm's intervals at all thresholds lie on one side of zero."""
    return bool((rows["low"] > 0).all() or (rows["high"] < 0).all())


def _names(study: StudyResults, arms: Sequence[str]) -> str:
    return ", ".join(study.labels.get(arm, arm) for arm in arms)


def no_answer(study: StudyResults, arms: Sequence[str]) -> str:
    """Why arms say nothing: the study has no verdicts, or the majority class stands for runs that failed."""
    if study.withheld:
        return study.withheld
    failed = study.runs["imputed_runs"].reindex(list(arms)) > 0
    return "final runs of it failed, and the majority class stands for them" if failed.any() else ""
