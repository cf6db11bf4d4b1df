"""The table of the external cohort, and what is to be said of it in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.names import printable
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.study import StudyResults
from analysis.results.with_earlier_score import SUFFIX
from analysis.statistics.compare import Comparison
from analysis.statistics.external import ExternalComparison
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import contrast_mark, design_of, row_label, run_cautions
from analysis.tables.table import MISSING, NONE, Table, interval_text, number, panel_of


def external_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table each arm on the external cohort beside cross-validation; None where no study has one."""
    panels, frames, notes, cautions = [], [], [], []
    for item in statistics:
        found = item.external
        if found is None:
            continue
        data = external_data(item, found)
        frames.append(data)
        cautions += [*run_cautions(item.study), *_untested(item.study, found)]
        panels += _panels(item, found, data)
        notes.append(_footnote(item))
    if not frames:
        return None
    notes.append(
        "Differences are arm minus reference on the same patients; intervals are made as in the headline, "
        "with the external patients in place of the study's and the spread between all final runs as the "
        "noise of training. No verdict is given there: its error rates were measured in cross-validation."
    )
    if any(found.combined for item in statistics if (found := item.external)):
        notes.append(
            "An arm + earlier score is combined as in the study (see Beyond the earlier score), weights and "
            "earlier-score classifier fitted on the study's patients; its difference is with the earlier "
            "score alone."
        )
    return Table(
        name="external", title="Tested on an external cohort", data=pd.concat(frames, ignore_index=True),
        panels=panels, notes=notes, cautions=cautions,
    )  # fmt: skip


def external_data(statistics: StudyStatistics, found: ExternalComparison) -> pd.DataFrame:
    """Return one row per arm: the primary metric and its difference with the reference, there (``external_``)
    and in cross-validation, and the final runs behind them. Then one per arm combined with the earlier score,
    whose reference is the control that sees the earlier score alone.
    """
    study = statistics.study
    sides = {"external_": found.comparison, "": statistics.comparison}
    beyond = {"external_": found.beyond, "": statistics.incremental.comparison}
    alone = [_row(statistics, arm, "", study.reference, sides) for arm in study.ordered_arms]
    pooled = [_row(statistics, arm, SUFFIX, found.control, beyond) for arm in found.combined]
    data = with_run_counts(pd.DataFrame([*alone, *pooled]), study)
    data = data.assign(run_hashes=data["arm"].map(run_hashes(study)).fillna(""))
    return data.assign(arm=data["arm"] + data.pop("suffix"))


def _row(
    statistics: StudyStatistics, arm: str, suffix: str, reference: str, sides: Mapping[str, Comparison]
) -> dict[str, Any]:
    """One arm's row; ``sides`` are the comparisons by the prefix of their columns, in which the name of the
    arm ends with the suffix."""
    study, primary = statistics.study, statistics.primary_metric.name
    row: dict[str, Any] = {
        "study": study.key, "cautions": "; ".join(_cautions(study)), "cohort": _name(study), "arm": arm,
        "suffix": suffix, "label": f"{study.labels[arm]}{suffix}", "reference": reference,
    }  # fmt: skip
    for prefix, side in sides.items():
        name, ends = f"{arm}{suffix}", ("low", "high")
        row |= _of(side.metrics, name, primary, prefix, ("value", *ends, "seed_sd"))
        row |= _of(side.contrasts, name, primary, f"{prefix}difference_", ("difference", *ends))
    return {**row, "metric": primary}


def _of(frame: pd.DataFrame, arm: str, metric: str, prefix: str, columns: Sequence[str]) -> dict[str, float]:
    if frame.empty:
        return {}
    row = frame[(frame["arm"] == arm) & (frame["metric"] == metric)]
    return {f"{prefix}{name}": float(row.iloc[0][name]) for name in columns} if len(row) else {}


def _panels(
    statistics: StudyStatistics, found: ExternalComparison, data: pd.DataFrame
) -> list[tuple[str, pd.DataFrame]]:
    """The arms against the reference; below, combined with the earlier score, against that alone."""
    study, pooled = statistics.study, data["arm"].isin([f"{arm}{SUFFIX}" for arm in found.combined])
    head = _header(study, found)
    panels = [(head, _text(statistics, data[~pooled]))]
    if found.combined:
        head += f"; with the earlier score, against {study.labels[found.control]}"
        panels.append((head, _text(statistics, data[pooled], SUFFIX)))
    return panels


def _text(statistics: StudyStatistics, data: pd.DataFrame, suffix: str = "") -> pd.DataFrame:
    study, metric = statistics.study, statistics.primary_metric.label
    columns = [f"{metric} there [95 % CI]", f"{metric} in cross-validation [95 % CI]"]
    columns += ["Difference there [95 % CI]", "Difference in cross-validation [95 % CI]"]
    rows = []
    for _, row in data.iterrows():
        arm = str(row["arm"]).removesuffix(suffix)
        cells = [interval_text(row, "external_value", "external_"), interval_text(row)]
        if row["arm"] == study.reference:
            cells += ["reference", "reference"]
        else:
            mark = contrast_mark(study, arm, str(row["reference"]))
            cells += [_difference(row, f"{side}difference_", mark) for side in ("external_", "")]
        known = np.isfinite(number(row, "external_value"))
        label = f"{row_label(study, arm)}{suffix}"
        rows.append((label, cells if known else [MISSING] * len(columns)))
    return panel_of(rows, columns)


def _difference(row: pd.Series[Any], prefix: str, mark: str = "") -> str:
    text = interval_text(row, f"{prefix}difference", prefix, sign="+")
    return text if text == NONE else f"{text}{mark}"


def _name(study: StudyResults) -> str:
    return printable(str((study.info.get("external") or {}).get("name", "of no recorded name")))


def _cautions(study: StudyResults) -> list[str]:
    """The cautions of the study's own tables, and whether the external cohort is a phantom."""
    phantom = bool((study.info.get("external") or {}).get("phantom"))
    return [*study.cautions, *(["external phantom"] if phantom else [])]


def _header(study: StudyResults, found: ExternalComparison) -> str:
    said = [f"{study.name} on {_name(study)} ({study.sizes(found.ledger)})", *_cautions(study)]
    return ", ".join(said)


def _footnote(statistics: StudyStatistics) -> str:
    study = statistics.study
    external = study.info.get("external") or {}
    left_out = external.get("left_out") or []
    out = f"; left out: {printable('; '.join(map(str, left_out[:10])))}" if left_out else ""
    return (
        f"{study.title}: external cohort {_name(study)}, hash {str(external.get('cohort_hash', '?'))[:12]}, "
        f"added {external.get('added', 'at a time that is not recorded')}{out}. Every final run "
        f"({design_of(study)}) predicts every patient there; search and training saw none of them, and "
        "scores are on the scale of each run's training patients."
    )


def _untested(study: StudyResults, found: ExternalComparison) -> list[str]:
    if not found.untested:
        return []
    return [
        f"{study.title}: {found.untested} final runs were not tested on the external cohort; numbers are of "
        "those that all arms share. The study's command with --test-data tests the others."
    ]


def external_sentences(statistics: StudyStatistics) -> list[str]:
    """Say how each arm does on the external cohort; no sentence where the study has none."""
    found = statistics.external
    if found is None:
        return []
    study, metric = statistics.study, statistics.primary_metric
    by_arm = {str(row["arm"]): row for _, row in external_data(statistics, found).iterrows()}
    begin = f"{study.title}: on the external cohort {_name(study)} ({study.sizes(found.ledger)})"
    if _cautions(study) != list(study.cautions):
        begin += ", a phantom,"
    sentences = []
    for arm in (study.reference, *study.family):
        if arm not in by_arm or not np.isfinite(number(by_arm[arm], "external_value")):
            continue
        row = by_arm[arm]
        value = interval_text(row, "external_value", "external_")
        said = f"{begin} {study.labels[arm]} has {metric.label} {value}"
        there, here = (number(row, f"{side}difference_difference") for side in ("external_", ""))
        if arm != study.reference and np.isfinite(there):
            reference = study.labels.get(study.reference, study.reference)
            said += f", {_difference(row, 'external_difference_')} against {reference}"
            if np.isfinite(here):
                agrees = "the same direction as" if there * here > 0 else "not the direction of"
                said += f"; {agrees} the difference in cross-validation ({here:+.3f})"
        sentences.append(f"{said}. {'; '.join(_untested(study, found))}".rstrip())
    return [*sentences, *_beyond(statistics, found, by_arm, begin)]


def _beyond(
    statistics: StudyStatistics, found: ExternalComparison, by_arm: Mapping[str, pd.Series[Any]], begin: str
) -> list[str]:
    """Say in one sentence what arms that are no controls add there to the earlier score; none without any."""
    study, label = statistics.study, statistics.primary_metric.label
    added = [
        f"{study.labels[arm]} adds {_difference(by_arm[f'{arm}{SUFFIX}'], 'external_difference_')}"
        for arm in found.combined
        if arm in (study.reference, *study.family)
    ]
    if not added:
        return []
    alone = interval_text(by_arm[found.control], "external_value", "external_")
    return [f"{begin} beyond the earlier score alone ({label} {alone}), {'; '.join(added)}."]
