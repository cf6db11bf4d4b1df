"""The check that permuted labels are predicted by chance, and true ones better."""

from __future__ import annotations

import numpy as np

from analysis.page.check import Check, Status
from analysis.page.control_checks import no_answer
from analysis.statistics.label_permutations import permuted_labels
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.table import p_text, with_interval

NAME = "Label shuffle"


def label_shuffle(statistics: StudyStatistics) -> Check:
    """Check that the classifier, fitted on permuted labels, is at chance on permuted test labels (anything
    above is a leak from training to test patients), and that true labels are predicted better than that.
    """
    study = statistics.study
    shuffled = [a.name for a in study.arms if a.edits.get("progression.shuffle_labels")]
    present = [name for name in shuffled if name in statistics.arms]
    looked = (
        "agreement beyond chance (share of pairs) of the classifier fitted on many permutations of the labels"
    )

    def unchecked(found: str) -> Check:
        return Check(name=NAME, status="not checked", looked_at=looked, found=found)

    if not present:
        return unchecked("no arm with permuted labels was run")
    if reason := no_answer(study, present):
        return unchecked(reason)
    own = study.permutations[study.permutations["arm"] == present[0]]
    runs = own[["repeat", "fold", "seed"]].drop_duplicates()
    found = permuted_labels(own) if len(runs) == study.runs["final_runs"][present[0]] else None
    if found is None:
        return unchecked(
            "its final runs permuted the labels only once, which tells nothing: a version that does so more "
            "often, or a classifier without end-to-end training, is needed"
        )
    low, high = np.quantile(found.permuted, [0.025, 0.975])
    chance = (
        f"mean of {len(found.permuted)} permutations, with its 99 % interval, "
        f"{with_interval(float(found.permuted.mean()), *found.interval, sign='+')}, the middle 95 % of them "
        f"{low:+.3f} to {high:+.3f}; true labels {found.observed:+.3f}, "
        f"permutation p {p_text(found.p_informed)}"
    )
    status: Status
    if found.leaks:
        status, text = "red", "permuted labels are predicted above chance: test pairs are known in training"
    elif found.informed:
        status, text = "green", "permuted labels are at chance, true ones are predicted better"
    else:
        status, text = "amber", "whether true labels are predicted better than permuted ones cannot be told"
    return Check(name=NAME, status=status, looked_at=looked, found=f"{text} ({chance})")
