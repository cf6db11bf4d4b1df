"""How well the score, the predicted scores and the embeddings repeat."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.repeatability import FEWEST_PATIENTS
from analysis.statistics.study_repeatability import Retests, retest_days
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import NONE, Table, interval_text, panel_of
from analysis.tables.traced import traced

COLUMNS = ("Retests (patients)", "ICC(1) [95 % CI]", "SEM [95 % CI]", "MDC [95 % CI]", "Change threshold")
NOTES = (
    "ICC(1): one-way random effects, absolute agreement of single measurements (Shrout and Fleiss 1979; "
    "McGraw and Wong 1996). SEM: square root of the variance within retests. MDC: 1.96 √2 SEM, the "
    "difference of two measurements that chance alone exceeds in 5 %. Intervals draw patients again "
    "and keep the final runs as they are: of predicted scores and embeddings they hold no training noise, "
    "and are of these encoders; of the measured score there is none. "
    f"Nothing is estimated from fewer than {FEWEST_PATIENTS} patients with retests, and fewer than 30 are "
    "few.",
    "Predicted scores and embeddings are compared over the clips of one visit and within one final run; "
    "the variances, not the values, are averaged over runs, weighted by their retests. The ICC of "
    "embeddings is 1 minus the ratio of variance (half the mean squared distance, of vectors of length 1) "
    "within visits to that within and between them (Shou et al. 2013).",
    "Predicted scores shrink towards their mean: a small MDC of theirs without a high ICC is no merit, so "
    "the change threshold stands beside the measured score alone.",
)


def repeatability_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table ICC, SEM and minimal detectable change, with the change threshold beside them.

    Returns:
        The table, one panel per study with final runs; None where no study has any.
    """
    panels, frames, notes, cautions = [], [], [], []
    for item in statistics:
        study = item.study
        if study.compared.empty:
            continue
        found = item.measurement.retests
        threshold = (study.cohort.get("score") or {}).get("change_threshold")
        data = pd.DataFrame(
            [each.row | {"change_threshold": None if each.arm else threshold} for each in found]
        )
        frames.append(traced(data, study))
        rows = [(_label(study, each), _cells(each, threshold)) for each in found]
        panels.append((header(study), panel_of(rows, COLUMNS)))
        if study.cohort.get("temporal", True) or len(study.ratings):
            notes.append(
                f"{study.title}: retests of the score are {_retests_of(study)}; what truly changed between "
                "them counts as error."
            )
        cautions += run_cautions(study)
    if not panels:
        return None
    return Table(
        name="repeatability", title="Reliability of the score and of what is predicted",
        data=pd.concat(frames, ignore_index=True), panels=panels, notes=[*NOTES, *notes], cautions=cautions,
    )  # fmt: skip


def _retests_of(study: StudyResults) -> str:
    if len(study.ratings):
        return "the ratings of the clips of one visit"
    days = retest_days(study)
    return f"consecutive visits of one patient less than {days:g} day{'s' if days != 1 else ''} apart"


def _label(study: StudyResults, each: Retests) -> str:
    if not each.arm:
        return f"{(study.cohort.get('score') or {}).get('name', 'score')}, measured"
    return f"{row_label(study, each.arm)}, {each.what}"


def _cells(each: Retests, threshold: float | None) -> list[str]:
    if each.found is None:
        return [f"not estimable: {each.why_not}", *[NONE] * (len(COLUMNS) - 1)]
    row = pd.Series(each.row)
    intervals = [interval_text(row, name, f"{name}_") for name in ("icc", "sem", "mdc")]
    beside = NONE if threshold is None or each.arm else f"{threshold:g}"
    return [f"{each.retests} ({each.patients})", *intervals, beside]
