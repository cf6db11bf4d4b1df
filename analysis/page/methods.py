"""The Methods section and the reporting checklist of a report, filled from the study's own records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from analysis.results.endpoints import PROGRESSION
from analysis.results.study import StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import design_of
from analysis.tables.main_table import margins

UNKNOWN = "not recorded"

AUTHORS_TOPICS = (
    "eligibility, setting and dates; de-identification and ethics; missing data; demographics by partition; "
    "fairness and health inequalities; external testing; failure analysis; limitations; intended use; "
    "protocol and registration; data availability; funding and interests"
)


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
        f"two {pairs} of one patient, {_outcome(study)} or more. The protocol was "
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
    classes = "worse or better" if study.endpoint == PROGRESSION else "worse (and otherwise not worse)"
    how = "changes" if study.endpoint == PROGRESSION else "gets worse"
    change = f"{how} by {score.get('change_threshold', '?')}{unit}"
    return f"{classes} when the {score.get('name', 'score')} {change}"


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


def checklist(statistics: StudyStatistics) -> list[tuple[str, str]]:
    """Fill a reporting checklist from the study's own records.

    Returns:
        Pairs of a topic of CLAIM 2024 or TRIPOD+AI and what is recorded; the last names what is left to the
        authors.
    """
    study = statistics.study
    info, cohort = study.info, study.cohort
    get, data = _getter(info), _getter(cohort)
    versions = ", ".join(f"{name} {version}" for name, version in (info.get("versions") or {}).items())
    hardware = ", ".join(f"{name} {value}" for name, value in (info.get("hardware") or {}).items())
    weights = (info.get("base") or {}).get("encoder", {}).get("weights", UNKNOWN)
    models = "; ".join(f"{arm.label}: {arm.edits or 'base'}" for arm in study.arms if not arm.control)
    recorded = {
        "Data source": ("synthetic " if cohort.get("phantom") else "")
        + f"{data('name')}, hash {data('hash')}",
        "Data left out": "; ".join(map(str, (info.get("left_out") or ["none"])[:10])),
        "Outcome and reference standard": f"{_outcome(study)} or more",
        "Sample size": f"{_sizes(study)}; no sample size calculation is recorded",
        "Partitions": f"{get('protocol')}, by patient: {design_of(study)}; splits {get('split_hash')}",
        "Model": models,
        "Starting weights": str(weights),
        "Software": versions or UNKNOWN,
        "Hardware": hardware or UNKNOWN,
        "Training and search": f"{get('trials')} trials per arm and fold, profile {get('profile')}",
        "Choice of the final model": f"best by {get('selection_metric')}, then trained again",
        "Performance measures": f"{statistics.primary_metric.heading} (primary), all others in the tables",
        "Uncertainty and significance": "patients and training in one t statistic, Holm; see Methods",
        "Robustness": "class threshold, controls, shuffled labels; see Validity",
        "Code": f"{get('git_sha')}, numerics {study.numerics}, command {get('command')}",
    }
    return [*recorded.items(), ("For the authors to state", AUTHORS_TOPICS)]
