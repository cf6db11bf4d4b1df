"""The first sentence of a report: what the arms add to the earlier score."""

from __future__ import annotations

from analysis.results.with_earlier_score import SUFFIX
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.incremental import left_out
from analysis.tables.table import interval_text, number, p_text


def incremental_sentences(statistics: StudyStatistics) -> list[str]:
    """Say what each arm adds to the earlier score alone, in one sentence for all, so that none is picked out.

    Sentences on arms that cannot be compared follow. A study without a final run has none.
    """
    study, value = statistics.study, statistics.incremental
    if study.ledger.empty:
        return []
    if value.reason:
        return [f"{study.title}: What scans add to the earlier score is not known: {value.reason}."]
    label, found = statistics.primary_metric.label, value.comparison
    arms = [arm for arm in value.arms if arm in value.family]
    parts = []
    for arm in arms:
        name = f"{arm}{SUFFIX}"
        added, test = value.row(found.contrasts, name), value.row(found.tests, name)
        told = f"{study.labels[arm]} adds {interval_text(added, 'difference', sign='+')}"
        if len(test):
            worse = statistics.primary_metric.word(number(added, "difference")) == "worse"
            word = "supported to be worse" if worse and test["verdict"] == "supported" else test["verdict"]
            told += f" ({word}, Holm p {p_text(number(test, 'p_holm'))})"
        parts.append(told)
    if not parts:
        return left_out(statistics)
    lower = "" if statistics.primary_metric.higher_is_better else ", lower is better"
    alone = f"{label} {interval_text(value.row(found.metrics, value.control))}{lower}"
    unsure = f"; no verdicts ({study.withheld})" if study.withheld else ""
    sentence = f"{study.title}: Beyond the earlier score alone ({alone}), {'; '.join(parts)}{unsure}."
    return [sentence, *left_out(statistics)]
