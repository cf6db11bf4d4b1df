"""What could make the comparison wrong, checked from the results alone: green, amber, red, or not checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.analysed import Analysed
from analysis.failures import failed_finals, failed_trials
from analysis.identifiers import same_patient_key
from analysis.load import Study
from analysis.metrics import CLASSES
from analysis.sensitivity import association, threshold_sensitivity
from analysis.table import interval_text

FEWEST_PATIENTS = 20
"""Patients per class below which a class's recall says little."""

Status = Literal["green", "amber", "red", "not checked"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question about a study, what was looked at, and what was found."""

    name: str
    status: Status
    looked_at: str
    found: str


def checks(analysed: Analysed) -> list[Check]:
    """All checks of one study, in the order of the page."""
    study = analysed.study
    general = [_readable(study), _protocol(study), _failed_trials(study), _left_out(study)]
    if study.ledger.empty:
        return general
    general.append(_cells(study))
    if study.compared.empty:
        return general
    return [
        *general,
        _one_fold(study),
        _roles(study),
        _class_sizes(study),
        _label_shuffle(analysed),
        *_controls(analysed),
        _thresholds(analysed),
        _associations(study),
        *_not_recorded(study),
    ]


def _readable(study: Study) -> Check:
    found = "; ".join(study.problems) or "study.json and all tables are whole"
    return Check(name="Results folder", status="red" if study.problems else "green",
                 looked_at="study.json, ledger, trials and scores", found=found)  # fmt: skip


def _protocol(study: Study) -> Check:
    worst: Status = "red" if "not nested" in study.cautions else "amber" if study.cautions else "green"
    found = f"protocol {study.info.get('protocol', 'not recorded')}"
    if study.cautions:
        found += f"; every table and figure says: {', '.join(study.cautions)}"
    return Check(name="Protocol", status=worst, looked_at="protocol and cohort in study.json", found=found)


def _failed_trials(study: Study) -> Check:
    if study.trials.empty:
        return Check(
            name="Failed trials", status="not checked", looked_at="trials.parquet", found="no trials"
        )
    bad = failed_trials(study)
    return Check(
        name="Failed trials",
        status="amber" if bad else "green",
        looked_at=f"the state of {len(study.trials):,} trials; none is dropped",
        found=" ".join(bad) or "none failed or diverged",
    )


def _left_out(study: Study) -> Check:
    left_out = study.info.get("left_out") or []
    found = "; ".join(map(str, left_out[:10])) + (f"; and {len(left_out) - 10} more" if left_out[10:] else "")
    return Check(
        name="Scans left out",
        status="amber" if left_out else "green",
        looked_at="the list that study.json keeps",
        found=found if left_out else "none",
    )


def _cells(study: Study) -> Check:
    """Every arm has a final run for every repeat, fold and seed that was declared, and none failed."""
    runs = study.runs
    expected = int((runs["final_runs"] + runs["missing_runs"]).max())
    short = [f"{arm.label} {runs['final_runs'][arm.name]} of {expected}" for arm in study.arms
             if runs["missing_runs"][arm.name]]  # fmt: skip
    failed = failed_finals(study)
    found = [f"incomplete: {', '.join(short)}."] if short else []
    return Check(
        name="All final runs",
        status="red" if short else "amber" if failed else "green",
        looked_at=f"{expected} final runs per arm (repeats x folds x seeds); one that failed counts as the "
        "majority class",
        found=" ".join([*found, *failed]) or "every arm has all of them",
    )


def _one_fold(study: Study) -> Check:
    """No patient is tested in two folds of one repeat, and all arms test the same pairs."""
    folds = study.ledger.groupby(["repeat", "patient"])["fold"].nunique()
    pairs = study.ledger.groupby(["repeat", "fold", "arm", "seed"])["pair"].nunique()
    uneven = int((pairs.groupby(["repeat", "fold"]).nunique() > 1).sum())
    truths = int((study.ledger.groupby("pair")["y_true"].nunique() > 1).sum())
    twice = int((folds > 1).sum())
    wrong = [f"{twice} patients are tested in several folds of one repeat"] if twice else []
    wrong += [f"in {uneven} folds the arms test different numbers of pairs"] if uneven else []
    wrong += [f"{truths} pairs have different true classes in different runs"] if truths else []
    return Check(
        name="Test folds",
        status="red" if wrong else "green",
        looked_at=f"{study.ledger['patient'].nunique()} patients and their pairs in all arms and runs",
        found="; ".join(wrong) or "every patient is tested once per repeat and seed, on the same pairs",
    )


def _roles(study: Study) -> Check:
    """In every final run, the test patients are nobody it was fitted on."""
    read, leaks, damaged = 0, [], 0
    for run in study.ledger["run_hash"].unique():
        path = study.folder.parent / "runs" / str(run) / "config.json"
        if not run or not path.is_file():
            continue
        try:
            patients: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["patients"]
            roles = {role: {same_patient_key(str(p)) for p in who} for role, who in patients.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            damaged += 1
            continue
        read += 1
        fitted = set().union(*(who for role, who in roles.items() if role != "test"))
        if fitted & roles.get("test", set()):
            leaks.append(str(run))
    looked = f"patients of {read} final runs by role (config.json), after normalising identifiers"
    if not read:
        text = f"{damaged} config.json cannot be read" if damaged else "no runs/ folder"
        return Check(name="Patient disjointness", status="not checked", looked_at=looked, found=text)
    found = (
        f"test patients were fitted on in {', '.join(leaks[:5])}"
        if leaks
        else "no test patient was fitted on"
    )
    if damaged:
        found += f"; {damaged} config.json cannot be read"
    status: Status = "red" if leaks else "amber" if damaged else "green"
    return Check(name="Patient disjointness", status=status, looked_at=looked, found=found)


def _class_sizes(study: Study) -> Check:
    patients = study.compared.groupby("y_true")["patient"].nunique()
    counts = [int(patients.get(c, 0)) for c in range(3)]
    status: Status = "red" if 0 in counts else "amber" if min(counts) < FEWEST_PATIENTS else "green"
    found = ", ".join(f"{name} {n}" for name, n in zip(CLASSES, counts, strict=True))
    return Check(name="Patients per class", status=status, looked_at=f"at least {FEWEST_PATIENTS} per class",
                 found=found)  # fmt: skip


def _no_answer(study: Study, arms: Sequence[str]) -> str:
    """Why arms say nothing: the study has no verdicts, or the majority class stands for runs that failed."""
    if study.withheld:
        return study.withheld
    failed = study.runs["imputed_runs"].reindex(list(arms)) > 0
    return "final runs of it failed, and the majority class stands for them" if failed.any() else ""


def _label_shuffle(analysed: Analysed) -> Check:
    """An arm fitted on permuted progression labels must be at chance."""
    study = analysed.study
    shuffled = [a.name for a in study.arms if a.edits.get("progression.shuffle_labels")]
    metrics = analysed.comparison.metrics
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


def _controls(analysed: Analysed) -> list[Check]:
    """The arms beat what needs no image: the earlier score alone, and metadata alone."""
    study, metrics = analysed.study, analysed.comparison.metrics
    values = metrics[metrics["metric"] == study.primary_metric].set_index("arm")["value"]
    arms = [arm.name for arm in study.arms if not arm.control and arm.name in values.index]
    best = max(arms, key=lambda arm: values[arm], default="")
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
        ahead = values[best] > values[own[0]]
        text = f"{study.labels[best]} {values[best]:.3f}, control {values[own[0]]:.3f}"
        found.append(Check(name=title, status="green" if ahead else "red", looked_at=looked, found=text))
    return found


def _thresholds(analysed: Analysed) -> Check:
    table = threshold_sensitivity(analysed.study)
    looked = "sign of each arm's difference when the change that counts is smaller and larger"
    if reason := analysed.study.withheld:
        return Check(name="Class threshold", status="not checked", looked_at=looked, found=reason)
    if table.empty:
        return Check(
            name="Class threshold", status="not checked", looked_at=looked, found="no threshold recorded"
        )
    signs = table.groupby("arm")["difference"].agg(lambda d: len(set(np.sign(d))))
    turned = [analysed.study.labels.get(str(arm), str(arm)) for arm in signs.index[signs > 1]]
    thresholds = ", ".join(f"{t:g}" for t in sorted(set(table["threshold"])))
    found = f"at {thresholds}: " + (f"{', '.join(turned)} change sign" if turned else "no arm changes sign")
    return Check(name="Class threshold", status="amber" if turned else "green", looked_at=looked, found=found)


def _associations(study: Study) -> Check:
    found, status = [], "green"
    for column in ("site", "device"):
        v, p = association(study.compared, column)
        if np.isfinite(v):
            found.append(f"{column}: Cramér's V {v:.2f}, permutation p {p:.3f}")
            status = "amber" if p < 0.05 else status
    looked = "class against site and device, permuted by patient"
    if not found:
        text = "site and device are not recorded, or the same for all"
        return Check(name="Class and site or device", status="not checked", looked_at=looked, found=text)
    return Check(name="Class and site or device", status="amber" if status == "amber" else "green",
                 looked_at=looked, found="; ".join(found))  # fmt: skip


def _not_recorded(study: Study) -> list[Check]:
    """What results folders cannot show, and how to look."""
    runs = study.ledger["run_hash"]
    run = str(next((name for name in runs if name), "RUN"))
    config = study.folder.parent / "runs" / run / "config.json"
    known: list[tuple[str, str, str]] = [
        ("Duplicate scans", "copies of a scan under two patients", "python -m learner_ray.cohort check DATA"),
        ("Replayed seed", "the same run once more", f"python -m learner_ray.train {config}"),
        (
            "Swapped visits",
            "worse and better change places when visits do",
            "needs the encoder, not the ledger",
        ),
    ]
    return [Check(name=n, status="not checked", looked_at=look, found=how) for n, look, how in known]


def validity_table(analysed: Analysed) -> pd.DataFrame:
    """The checks of one study as a table."""
    columns = {"name": "Check", "status": "Status", "looked_at": "Looked at", "found": "Found"}
    return pd.DataFrame([vars(check) for check in checks(analysed)]).rename(columns=columns)
