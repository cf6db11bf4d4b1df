"""The reporting checklist of a report, filled from the study's own records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analysis.results.study import StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import design_of

UNKNOWN = "not recorded"

AUTHORS_TOPICS = (
    "eligibility, setting and dates; de-identification and ethics; missing data; demographics by partition; "
    "fairness and health inequalities; external testing; failure analysis; limitations; intended use; "
    "protocol and registration; data availability; funding and interests"
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
        "Outcome and reference standard": f"worse, same or better: {_outcome(study)} or more",
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
