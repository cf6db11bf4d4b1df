"""The Methods section of a report, filled from the study's own records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from analysis.results.study import StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import design_of
from analysis.tables.main_table import margins

UNKNOWN = "not recorded"


def methods(statistics: Sequence[StudyStatistics]) -> list[str]:
    """Write a Methods paragraph per study, from what was recorded, and one on the statistics."""
    return [_study_methods(item.study) for item in statistics] + [statistics_methods(statistics)]


def _study_methods(study: StudyResults) -> str:
    info, cohort = study.info, study.cohort
    get = _getter(info)
    kind = "a synthetic (phantom) cohort" if cohort.get("phantom") else "the cohort"
    pairs = (
        "consecutive visits" if cohort.get("temporal", True) else "neighbouring scans (no sequence in time)"
    )
    return (
        f"{study.modality}: {kind} {cohort.get('name', UNKNOWN)} has {_sizes(study)}. A progression pair is "
        f"two {pairs} of one patient, worse or better when {_outcome(study)} or more. The protocol was "
        f"{get('protocol')} cross-validation by patient ({design_of(study)}). {_search(study)} Code "
        f"{get('git_sha')}, numerics {study.numerics}, splits {get('split_hash')}, command "
        f"`{get('command')}`."
    )


def _search(study: StudyResults) -> str:
    """Say in a sentence what was searched, on which patients and by which metric."""
    get = _getter(study.info)
    fixed = study.info.get("fixed_at")
    if fixed:
        return (
            "Nothing was searched: in every fold all arms had the setting that the search of "
            f"{fixed.get('arm', UNKNOWN)} had chosen there. Test patients took no part in pretraining, "
            "search or early stopping."
        )
    searched = sorted({key for arm in study.arms for key in arm.searched})
    if not searched:
        return "Nothing was searched. Test patients took no part in pretraining or early stopping."
    selected = f"selected by {get('selection_metric')}, over {', '.join(searched)}"
    if study.info.get("development"):
        return (
            f"Each arm had its own search of {get('trials')} trials in the first fold, {selected}, and its "
            "choice was frozen for all others, whose test patients had therefore taken part in it."
        )
    return (
        f"Each arm had its own search of {get('trials')} trials per fold, {selected}; the best trial was "
        "trained again with every seed. Test patients took no part in pretraining, search or early stopping."
    )


def _getter(values: dict[str, Any]) -> Callable[[str], str]:
    """A function from keys to values as text, with a gap named as such."""
    return lambda key: str(values[key]) if values.get(key) not in (None, "") else UNKNOWN


def _sizes(study: StudyResults) -> str:
    names = {"patients": "patients", "visits": "visits", "scans": "scans", "pairs": "progression pairs"}
    counts = "/".join(map(str, study.cohort.get("class_counts", ["?"])))
    sizes = ", ".join(f"{study.cohort.get(key, '?')} {name}" for key, name in names.items())
    return f"{sizes} (worse/same/better {counts})"


def _outcome(study: StudyResults) -> str:
    score = study.cohort.get("score") or {}
    unit = f" {score['unit']}" if score.get("unit") else ""
    return f"the {score.get('name', 'score')} changes by {score.get('change_threshold', '?')}{unit}"


def statistics_methods(statistics: Sequence[StudyStatistics]) -> str:
    """Write a Methods paragraph on the statistics, with their sources."""
    draws, within = statistics[0].draws, margins(statistics)
    equivalence = (
        f"Probabilities of practical equivalence ({within}) are those of the same t statistic with a flat "
        "prior. "
    )
    return (
        "Metrics were computed from confusion matrices averaged over seeds and repeats. Intervals (95 %) "
        "and p values of metrics and differences come from one t statistic: its variance is the "
        "delete-one-patient jackknife (Efron and Stein 1981) plus the variance of training, as seeds, "
        "folds and repeats show it, with Satterthwaite's (1946) degrees of freedom; arms of one family "
        "have at least the training variance that the family shows on average. p was adjusted by Holm "
        "(1979) over the declared arms of each study. Coverage and error of this rule were measured by "
        "simulation; encoders trained on another cohort would vary more. "
        f"{equivalence if within else ''}The F1 of a class that nobody has or predicts counts as 0. "
        "Spearman correlations are ranked within each final run, in every draw anew, and averaged by "
        "Fisher's z weighted by rows; their intervals are percentile intervals of a patient-cluster "
        f"bootstrap ({draws:,} draws; Field and Welsh 2007). Studies are never pooled."
    )
