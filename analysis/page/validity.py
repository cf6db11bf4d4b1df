"""Validity checks: what could make the comparison wrong, as far as the results folder can tell.

Each check is green, amber, red or not checked.
"""

from __future__ import annotations

from analysis.page.check import Check, Status
from analysis.page.control_checks import beaten_controls, class_threshold
from analysis.page.label_shuffle import label_shuffle
from analysis.page.patient_checks import (
    class_associations,
    class_sizes,
    duplicate_scans,
    one_test_fold,
    patient_disjointness,
)
from analysis.results.run_files import run_folder
from analysis.results.study import StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.failures import failed_finals, failed_trials


def checks(statistics: StudyStatistics) -> list[Check]:
    """Run all checks of one study, in the order of the page."""
    study = statistics.study
    general = [_readable(study), _protocol(study), _failed_trials(study), _left_out(study)]
    if study.ledger.empty:
        return general
    general.append(_all_final_runs(study))
    if study.compared.empty:
        return general
    return [
        *general,
        one_test_fold(study),
        patient_disjointness(study),
        class_sizes(study),
        label_shuffle(statistics),
        *beaten_controls(statistics),
        class_threshold(statistics),
        class_associations(study),
        duplicate_scans(study),
        *_not_recorded(study),
    ]


def _readable(study: StudyResults) -> Check:
    found = "; ".join(study.problems) or "study.json and all tables are whole"
    return Check(name="Results folder", status="red" if study.problems else "green",
                 looked_at="study.json and all tables", found=found)  # fmt: skip


def _protocol(study: StudyResults) -> Check:
    worst: Status = "red" if "not nested" in study.cautions else "amber" if study.cautions else "green"
    found = f"protocol {study.info.get('protocol', 'not recorded')}"
    if study.cautions:
        found += f"; every table and figure says: {', '.join(study.cautions)}"
    return Check(name="Protocol", status=worst, looked_at="protocol and cohort in study.json", found=found)


def _failed_trials(study: StudyResults) -> Check:
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


def _left_out(study: StudyResults) -> Check:
    left_out = study.info.get("left_out") or []
    found = "; ".join(map(str, left_out[:10])) + (f"; and {len(left_out) - 10} more" if left_out[10:] else "")
    return Check(
        name="Scans left out",
        status="amber" if left_out else "green",
        looked_at="the list that study.json keeps",
        found=found if left_out else "none",
    )


def _all_final_runs(study: StudyResults) -> Check:
    """Check that every arm has a final run for every repeat, fold and seed declared, and that none failed."""
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


def _not_recorded(study: StudyResults) -> list[Check]:
    """What results folders cannot show, and how to look."""
    run = next((str(name) for name in study.ledger["run_hash"] if name), "RUN")
    config = run_folder(study, run) / "config.json"
    known = [
        ("Replayed seed", "the same run once more", f"python -m learner_ray.train {config}"),
        (
            "Swapped visits",
            "worse and better change places when visits do",
            "needs the encoder, not the ledger",
        ),
    ]
    return [Check(name=n, status="not checked", looked_at=look, found=how) for n, look, how in known]
