"""What the record has on performance, its uncertainty, and checks of both."""

from __future__ import annotations

from analysis.page.checklist.record import Evidence, ReportedStudy
from analysis.page.label_shuffle import NAME as LABEL_SHUFFLE
from analysis.tables.division_notes import division_notes

SENSITIVITY = ("Class threshold", LABEL_SHUFFLE, "Duplicate scans", "Class and site or device")
"""Validity checks that vary something, or look for what else could explain the result."""


def metrics(record: ReportedStudy) -> Evidence | None:
    """The primary metric and the table of all others."""
    at = record.table("metrics")
    return Evidence(value=f"primary: {record.statistics.primary_metric.heading}", at=at) if at else None


def performance(record: ReportedStudy) -> Evidence | None:
    """The main table, where any arm has a metric with its interval."""
    if record.statistics.comparison.metrics.empty:
        return None
    return Evidence(value="each arm and its difference, with 95 % intervals", at="comparison")


def by_class(record: ReportedStudy) -> Evidence | None:
    """Recall of each class in the table of all metrics."""
    at = record.table("metrics")
    return Evidence(value="recall of each class, with 95 % intervals", at=at) if at else None


def uncertainty(record: ReportedStudy) -> Evidence | None:
    """How intervals and p values are made; without verdicts there are intervals alone."""
    comparison = record.statistics.comparison
    if comparison.metrics.empty:
        return None
    p = ", p by Holm" if len(comparison.tests) else "; no p value"
    return Evidence(value=f"95 % intervals{p}", at=record.in_methods("95 % intervals"))


def calibration(record: ReportedStudy) -> Evidence | None:
    """The table of calibration slopes and intercepts."""
    at = record.table("calibration")
    return Evidence(value="slope and intercept by class", at=at) if at else None


def net_benefit(record: ReportedStudy) -> Evidence | None:
    """The decision curve."""
    at = record.figure("decision")
    return Evidence(value="decision curve for worse", at=at) if at else None


def external(record: ReportedStudy) -> Evidence | None:
    """The test on an external cohort."""
    at = record.table("external")
    found = record.statistics.external if at else None
    return Evidence(value=record.study.sizes(found.ledger), at=at) if found else None


def subgroups(record: ReportedStudy) -> Evidence | None:
    """The table of subgroups."""
    at = record.table("subgroups")
    return Evidence(value="exploratory", at=at) if at else None


def clusters(record: ReportedStudy) -> Evidence | None:
    """Places that were left out one at a time, or a table of differences between subgroups."""
    if at := record.table("heterogeneity"):
        return Evidence(value="differences between subgroups", at=at)
    if record.get("places") and division_notes(record.study):
        return Evidence(value=f"{len(record.get('places'))} places, each left out once", at="comparison")
    return None


def score_reliability(record: ReportedStudy) -> Evidence | None:
    """Reliability of the score over retests."""
    if not (at := record.table("repeatability")):
        return None
    retests = [each for each in record.statistics.measurement.retests if not each.arm and each.found]
    return Evidence(value=f"{retests[0].retests} retests of the score", at=at) if retests else None


def robustness(record: ReportedStudy) -> Evidence | None:
    """The validity checks that were made."""
    made = [f"{name.lower()} {check.status}" for name in SENSITIVITY if (check := record.check(name))]
    return Evidence(value=", ".join(made), at="validity") if made else None


def failed_runs(record: ReportedStudy) -> Evidence | None:
    """How many final runs failed, and so are counted as the majority class."""
    check, runs = record.check("All final runs"), record.study.runs
    if check is None:
        return None
    ended, failed = int(runs["final_runs"].sum()), int(runs["imputed_runs"].sum())
    return Evidence(value=f"{failed} of {ended} final runs failed and count as majority class", at="validity")


def confusion(record: ReportedStudy) -> Evidence | None:
    """The confusion matrices."""
    at = record.figure("confusion")
    return Evidence(value="by arm", at=at) if at else None


def far_errors(record: ReportedStudy) -> Evidence | None:
    """The list of far errors, or that there is none."""
    if at := record.table("far_errors"):
        return Evidence(value="worse called better, or the reverse, scan by scan", at=at)
    if record.study.compared.empty:
        return None
    far = len(record.study.classes) > 2
    return Evidence(value="no arm made a far error" if far else "two classes: no error is by more than one")


def verdict(record: ReportedStudy) -> Evidence | None:
    """One sentence for each arm that was tested."""
    tests = record.statistics.comparison.tests
    return Evidence(value=f"{len(tests)} arms tested", at="verdict") if len(tests) else None
