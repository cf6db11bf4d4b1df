"""What the page says in sentences: verdicts, methods, and a reporting checklist filled from the study's
records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.analysed import Analysed
from analysis.corrected_t import ROPE
from analysis.labels import design_of
from analysis.load import Study
from analysis.metrics import METRICS
from analysis.table import interval_text, number, p_text

UNKNOWN = "not recorded"

AUTHORS_TOPICS = (
    "eligibility, setting and dates; de-identification and ethics; missing data; demographics by partition; "
    "fairness and health inequalities; external testing; failure analysis; limitations; intended use; "
    "protocol "
    "and registration; data availability; funding and interests"
)


def verdict_sentences(analysed: Analysed) -> list[str]:
    """One sentence per arm tested against the reference, or why there is none."""
    study, tests = analysed.study, analysed.comparison.tests
    if study.ledger.empty:
        return [f"{study.title}: no final run can be read, so nothing is compared."]
    if study.withheld:
        return [f"{study.title}: no verdicts ({study.withheld})."]
    if tests.empty:
        return [f"{study.title}: no arm is tested against the reference {study.reference}."]
    merged = tests.merge(analysed.comparison.contrasts[["arm", "metric", "low", "high"]])
    sentences = [_verdict(study, row) for _, row in merged.iterrows()]
    absent = [study.labels[arm] for arm in study.family if arm not in set(tests["arm"])]
    return sentences + [f"{study.title}: {label} has no final run." for label in absent]


def _verdict(study: Study, row: pd.Series[Any]) -> str:
    metric, arm = METRICS[study.primary_metric], study.labels[row["arm"]]
    reference = study.labels.get(study.reference, study.reference)
    difference = number(row, "difference")
    better = (difference > 0) == metric.higher_is_better
    direction = "better" if better else "worse"
    numbers = f"{interval_text(row, 'difference', sign='+')} {metric.label}, Holm p {p_text(row['p_holm'])}"
    word = str(row["verdict"])
    if word == "supported":
        claim = f"{arm} is {direction} than {reference}: supported"
    elif word == "suggestive":
        claim = f"{arm} looks {direction} than {reference}, but not beyond doubt: suggestive"
    elif word.startswith("undecided"):
        more = word.partition(": ")[2]
        claim = f"{arm} against {reference} is undecided: {more} would settle it if the difference stays"
    elif word == "not tested" and row["test_folds"] < 2:
        claim = f"{arm} against {reference} cannot be tested on fewer than two test folds"
    elif word == "not tested":
        claim = (
            f"{arm} against {reference} cannot be tested: {metric.label} is not defined in some run or draw"
        )
    else:
        claim = f"{arm} is not shown to differ from {reference}: not supported"
    return f"{study.title}: {claim} ({numbers}).{_put_in(study, row) or _equivalence(row)}"


def _put_in(study: Study, row: pd.Series[Any]) -> str:
    """What becomes of the verdict when the other arm's predictions stand for failed runs, if any."""
    failed = study.runs["imputed_runs"].reindex([row["arm"], study.reference]).fillna(0)
    # Holm's p of an arm changes with those of others, whose runs may have failed.
    if not failed.any() and row.get("verdict_counted") == row.get("verdict_put_in"):
        return ""
    runs = " and ".join(f"{int(n)} of {study.labels[str(arm)]}" for arm, n in failed.items() if n)
    counted = f"{row['verdict_counted']} (Holm p {p_text(number(row, 'p_holm'))})"
    put_in = f"{number(row, 'difference_put_in'):+.3f}, Holm p {p_text(number(row, 'p_holm_put_in'))}"
    return (
        f" Final runs that failed: {runs or 'of other arms'}. With the majority class in their place: "
        f"{counted}; with the other arm's predictions in their place: {row['verdict_put_in']} ({put_in})."
    )


def _equivalence(row: pd.Series[Any]) -> str:
    parts = [number(row, f"rope_{name}") for name in ("worse", "equivalent", "better")]
    if not np.isfinite(parts).all():
        return ""
    worse, same, better = (f"{100 * p:.0f} %" for p in parts)
    return f" Probability of worse / within ±{ROPE} / better: {worse} / {same} / {better}."


def methods(analysed: Sequence[Analysed]) -> list[str]:
    """A Methods paragraph per study, from what was recorded, and one on the statistics."""
    return [_study_methods(item.study) for item in analysed] + [statistics_methods(analysed[0].draws)]


def _study_methods(study: Study) -> str:
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
        f"{get('git_sha')}, splits {get('split_hash')}, command `{get('command')}`."
    )


def _search(study: Study) -> str:
    """Who was searched on whom, and by what."""
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
    judged = f"judged by {get('search_metric')}, over {', '.join(searched)}"
    if study.info.get("development"):
        return (
            f"Each arm had its own search of {get('trials')} trials in the first fold, {judged}, and its "
            "choice was frozen for all others, whose test patients had therefore taken part in it."
        )
    return (
        f"Each arm had its own search of {get('trials')} trials per fold, {judged}; the best trial was "
        "trained anew with every seed. Test patients took no part in pretraining, search or early stopping."
    )


def _getter(values: dict[str, Any]) -> Callable[[str], str]:
    """Values as text, with a gap named as such."""
    return lambda key: str(values[key]) if values.get(key) not in (None, "") else UNKNOWN


def _sizes(study: Study) -> str:
    names = {"patients": "patients", "visits": "visits", "scans": "scans", "pairs": "progression pairs"}
    counts = "/".join(map(str, study.cohort.get("class_counts", ["?"])))
    sizes = ", ".join(f"{study.cohort.get(key, '?')} {name}" for key, name in names.items())
    return f"{sizes} (worse/same/better {counts})"


def _outcome(study: Study) -> str:
    score = study.cohort.get("score") or {}
    unit = f" {score['unit']}" if score.get("unit") else ""
    return f"the {score.get('name', 'score')} changes by {score.get('change_threshold', '?')}{unit}"


def statistics_methods(draws: int) -> str:
    """The statistics, with their sources."""
    return (
        f"Intervals are 95 % percentile intervals of a patient-cluster bootstrap ({draws:,} draws; Field and "
        "Welsh 2007) of confusion matrices averaged over seeds and repeats; differences use the same draws "
        "for "
        "both arms. Arms were compared with the reference by p = max(p bootstrap, p / 2 of the corrected "
        "resampled t test over folds and repeats (Nadeau and Bengio 2003)), adjusted by Holm (1979) over the "
        "declared arms of each study. The combination is a heuristic calibrated by simulation, not a "
        "theorem. "
        f"Probabilities of practical equivalence (±{ROPE}) are those of the Bayesian correlated t test "
        "(Benavoli et al. 2017). The F1 of a class that nobody has or predicts counts as 0. Studies are "
        "never "
        "pooled."
    )


def checklist(study: Study) -> list[tuple[str, str]]:
    """Topics of CLAIM 2024 and TRIPOD+AI that the study's own records answer; the rest is left to the
    authors.
    """
    info, cohort = study.info, study.cohort
    get, data = _getter(info), _getter(cohort)
    versions = ", ".join(f"{name} {version}" for name, version in (info.get("versions") or {}).items())
    hardware = ", ".join(f"{name} {value}" for name, value in (info.get("hardware") or {}).items())
    weights = (info.get("base") or {}).get("model", {}).get("weights", UNKNOWN)
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
        "Choice of the final model": f"best by {get('search_metric')}, then trained anew",
        "Performance measures": f"{METRICS[study.primary_metric].label} (primary), all others in the tables",
        "Uncertainty and significance": "patient-cluster bootstrap, corrected t, Holm; see Methods",
        "Robustness": "class threshold, controls, shuffled labels; see Validity",
        "Code": f"{get('git_sha')}, command {get('command')}",
    }
    return [*recorded.items(), ("For the authors to state", AUTHORS_TOPICS)]
