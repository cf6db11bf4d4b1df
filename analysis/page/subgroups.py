"""What the subgroups show, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.results.names import printable
from analysis.statistics.cap import VARIES
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.subgroups import uncompared_notes
from analysis.tables.table import p_text


def subgroup_sentences(statistics: StudyStatistics) -> list[str]:
    """Say which differences vary between subgroups, and by what no subgroups could be made; no sentences
    where no run has ended.
    """
    if statistics.study.compared.empty:
        return []
    return [*_tested(statistics), *uncompared_notes(statistics)]


def _tested(statistics: StudyStatistics) -> list[str]:
    study, found = statistics.study, statistics.subgroups
    if not found.groupings:
        return []
    if study.withheld:
        return [f"{study.title}: no tests ({study.withheld})."]
    if found.tests.empty:
        return [f"{study.title}: no grouping has two levels that are large enough to be tested."]
    labels = {grouping.column: printable(grouping.label) for grouping in found.groupings}
    varying = found.tests[found.tests["reading"] == VARIES]
    tests = f"{len(found.tests)} test{'' if len(found.tests) == 1 else 's'} of heterogeneity"
    if varying.empty:
        smallest = p_text(float(found.tests["p_holm"].min()))
        return [
            f"{study.title}: by none of {tests} is a difference to {_label(statistics, study.reference)} "
            f"shown to vary between subgroups (smallest Holm p {smallest}); that is no proof that none does."
        ]
    return [
        f"{study.title}: the difference of {_label(statistics, row['arm'])} to "
        f"{_label(statistics, study.reference)} varies with {labels[row['grouping']]} (Holm p "
        f"{p_text(row['p_holm'])} over {tests}); exploratory, so it supports nothing."
        for _, row in varying.iterrows()
    ]


def _label(statistics: StudyStatistics, arm: str) -> str:
    return statistics.study.labels.get(arm, arm)


def subgroup_methods(statistics: Sequence[StudyStatistics]) -> str:
    """Write a Methods paragraph on the subgroups; empty where none was compared."""
    named = dict.fromkeys(
        printable(grouping.label) + (f" ({grouping.rule})" if grouping.rule else "")
        for item in statistics
        for grouping in item.subgroups.groupings
    )
    if not named:
        return ""
    return (
        f"Subgroups were formed by {'; '.join(named)}, by rules that were fixed before any outcome was seen. "
        "Whether a difference varies between levels was tested, once per grouping and arm, from "
        "delete-one-patient values of the differences in all levels together, with the variance of training "
        "as a mean design effect (Rao and Scott 1981) and Hotelling's correction, adjusted by Holm over all "
        "arms and groupings. These analyses are exploratory."
    )
