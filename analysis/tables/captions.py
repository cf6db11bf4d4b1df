"""How a study and its arms are named, headed and footnoted, wherever they appear."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.results.endpoints import DECLINE
from analysis.results.study import StudyResults
from analysis.statistics.loss_strength import device_seconds


def header(study: StudyResults) -> str:
    """Name a study with its size: ``LUS (189 patients, 300 pairs; worse/same/better 90/120/90), phantom``."""
    return study.header(study.sizes(study.compared))


def endpoint_notes(study: StudyResults) -> list[str]:
    """Say of a study that does not have three classes what is left out; nothing of others."""
    if study.endpoint != DECLINE:
        return []
    return [
        f"{study.title}: the endpoint is decline, and classifiers were trained, searched and tested on worse "
        "against not worse. What is of three classes is left out: accuracy, QWK, the ordinal analysis, the "
        "calibration of same and better. AUC is the share of comparisons of a pair that got worse with one "
        "that did not, within a final run, in which the former has the higher probability of worse."
    ]


def footnote(study: StudyResults, draws: int) -> str:
    """Say in one line a study's protocol, bootstrap draws, search effort, splits, git SHA and numerics."""
    info = study.info
    design = design_of(study, " x ")
    parts = [
        f"{study.title}: protocol {info.get('protocol', 'not recorded')}",
        design,
        f"95 % intervals; {draws:,} draws where a bootstrap is named",
        _effort(study),
        *device_time(study),
        f"splits {str(info.get('split_hash', 'not recorded'))[:12]}",
        f"code {str(info.get('git_sha', 'not recorded'))[:12]}, numerics {study.numerics}",
    ]
    return "; ".join(parts) + "."


def design_of(study: StudyResults, between: str = ", ") -> str:
    """Say the size of a study: ``5 folds, 1 repeat, 3 seeds``."""
    counts = {key: study.info.get(key, "?") for key in ("folds", "repeats", "seeds")}
    return between.join(f"{n} {key.removesuffix('s') if n == 1 else key}" for key, n in counts.items())


def _effort(study: StudyResults) -> str:
    """Trials and device-hours per arm, in one phrase when the arms are alike."""
    if study.info.get("trials") == 0:
        return "nothing was searched"
    if study.trials.empty:
        return "search not recorded"
    groups = study.trials.groupby("arm")
    trials = groups.size()
    hours = groups["device_seconds"].sum() / 3600 if "device_seconds" in study.trials else None
    if trials.nunique() == 1:
        text = f"{trials.iloc[0]} trials per arm"
    else:
        text = "trials per arm " + ", ".join(f"{study.labels.get(str(a), a)} {n}" for a, n in trials.items())
    if hours is None or hours.isna().all():
        return text
    return f"{text}, {hours.min():.2g} to {hours.max():.2g} device-hours per arm"


def device_time(study: StudyResults) -> list[str]:
    """Say how long a final run of each arm took a device, in one phrase; none where no arm's was recorded."""
    seconds = device_seconds(study)
    if seconds.empty:
        return []
    times = ", ".join(f"{study.labels.get(str(arm), arm)} {time:.3g} s" for arm, time in seconds.items())
    return [f"device time of a final run (median): {times}"]


FAILED, UNFINISHED = "†", "‡"
"""Marks beside the name of an arm some of whose final runs failed or diverged, or are not in the ledger."""


def row_label(study: StudyResults, arm: str) -> str:
    """Label an arm's table row or figure panel, with the marks that ``run_cautions`` explains."""
    runs = study.runs.loc[arm]
    marks = {FAILED: runs["imputed_runs"], UNFINISHED: runs["missing_runs"]}
    return " ".join([study.labels[arm], *(mark for mark, count in marks.items() if count)])


def contrast_mark(study: StudyResults, arm: str, reference: str = "") -> str:
    """Mark an arm's difference with a reference, else the study's, where a final run of either failed; empty
    otherwise."""
    failed = study.runs["imputed_runs"].reindex([arm, reference or study.reference]).fillna(0)
    return f" {FAILED}" if failed.any() else ""


def numerics_caution(studies: Sequence[StudyResults]) -> list[str]:
    """Say of studies side by side that versions computed them which give other numbers; empty if none did."""
    if len({study.numerics for study in studies}) < 2:
        return []
    numbers = ", ".join(f"{study.title} {study.numerics}" for study in studies)
    return [
        f"Numerics differ: {numbers}. Versions of different numerics compute other numbers from the same "
        "configuration, so a difference between these studies may come from that alone."
    ]


def run_cautions(study: StudyResults) -> list[str]:
    """Explain the marks beside arms, with counts of final runs; no sentences where all runs are whole."""
    if study.ledger.empty:
        return []

    def counted(column: str) -> str:
        """``MSE Loss 2 of 15, ...``, of the arms that have such runs."""
        declared = study.runs["final_runs"] + study.runs["missing_runs"]
        counts = study.runs[column]
        arms = [str(arm) for arm in counts.index[counts > 0]]
        return ", ".join(f"{study.labels[arm]} {counts[arm]} of {declared[arm]}" for arm in arms)

    found = []
    if failed := counted("imputed_runs"):
        found.append(
            f"{FAILED} {study.title}: final runs that failed or diverged, replaced by the majority class of "
            f"their training patients; no Spearman correlation is given for these arms: {failed}."
        )
    if missing := counted("missing_runs"):
        found.append(
            f"{UNFINISHED} {study.title}: final runs that have not ended, or cannot be read: {missing}. "
            "No verdicts; numbers are of the runs that all arms with final runs share, and will change."
        )
    return found
