"""The main table, arms against the reference, and the metrics and tests behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.endpoints import DECLINE, PROGRESSION
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.study import StudyResults
from analysis.statistics.metrics import METRICS, PRIMARY
from analysis.statistics.run_metrics import RUN_METRICS, probability_headings
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import (
    contrast_mark,
    endpoint_notes,
    footnote,
    header,
    numerics_caution,
    row_label,
    run_cautions,
)
from analysis.tables.division_notes import division_notes
from analysis.tables.failures import failed_finals
from analysis.tables.protocol import freeze_cautions, freeze_note
from analysis.tables.table import (
    MISSING,
    NONE,
    Table,
    both_p,
    interval_text,
    number,
    p_text,
    panel_of,
    plain_number,
)

WITHHELD = "no verdict"
BESIDE = {PROGRESSION: ("accuracy", "qwk"), DECLINE: ("decline_auc", "decline_f1")}
"""Metrics beside the primary one, by endpoint: the first with its interval."""
PUT_IN = (
    "Where a final run failed, p is given twice: with the majority class in its place, and with the other "
    "arm's predictions put in. A verdict holds both ways, so no arm is better because the reference failed."
)


def _wide(frame: pd.DataFrame, arm: str, metric: str, prefix: str) -> dict[str, float]:
    """One arm's row of a long table as prefixed columns; nothing where it is missing."""
    if frame.empty:
        return {}
    row = (
        frame[(frame["arm"] == arm) & (frame["metric"] == metric)]
        if "metric" in frame
        else frame[frame["arm"] == arm]
    )
    return (
        {f"{prefix}{c}": row.iloc[0][c] for c in row.columns if c not in ("arm", "metric")}
        if len(row)
        else {}
    )


def main_table_data(statistics: StudyStatistics) -> pd.DataFrame:
    """Return one row per declared arm with every number of the main table, and the runs behind it."""
    study, c, primary = statistics.study, statistics.comparison, statistics.study.primary_metric
    hashes = run_hashes(study) if len(study.compared) else pd.Series(dtype=str)
    controls = {a.name: a.control for a in study.arms}
    rows = []
    for arm in study.ordered_arms:
        row: dict[str, object] = {
            "study": study.key, "modality": study.modality, "cautions": "; ".join(study.cautions), "arm": arm,
            "label": study.labels[arm], "control": controls[arm], "reference": study.reference,
        }  # fmt: skip
        shown = pd.concat([c.metrics, statistics.proper_scores], ignore_index=True)
        for metric in dict.fromkeys([primary, PRIMARY[study.endpoint], *BESIDE[study.endpoint]]):
            row |= _wide(shown, arm, metric, f"{metric}_")
        row |= _wide(c.contrasts, arm, primary, "")
        row |= _wide(c.tests, arm, primary, "")
        row |= _wide(statistics.spearman, arm, "", "spearman_")
        if study.withheld and arm in study.family:
            row["verdict"] = WITHHELD
        row["final_runs"] = int(study.runs["final_runs"][arm])
        rows.append(row | {"run_hashes": hashes.get(arm, "")})
    return with_run_counts(pd.DataFrame(rows), study)


def main_table(statistics: Sequence[StudyStatistics]) -> Table:
    """Table the primary comparison: arms against the reference, controls below, one panel per study."""
    panels, frames, notes, cautions = [], [], [], []
    for item in statistics:
        data = main_table_data(item)
        frames.append(data)
        cautions += [*run_cautions(item.study), *_reasons(item.study)]
        if len(item.study.ledger):
            panels.append((header(item.study), _main_table_text(item, data)))
        cautions += freeze_cautions(item)
        notes += [footnote(item.study, item.draws), freeze_note(item), *division_notes(item.study)]
        notes += [f"{item.study.title}: {problem}." for problem in item.study.problems]
        notes += endpoint_notes(item.study)
    notes += [
        f"Difference is arm minus reference on the same patients{_falling(statistics)}. Its interval and p "
        "come from one t statistic, whose standard error holds patients and training (seeds, folds, "
        "repeats); p is adjusted by Holm over the declared arms of the study, the interval is not. Controls "
        "are not tested.",
        "Score Spearman is taken within each test fold, whose runs have an encoder of their own, and "
        "averaged (Fisher's z, weighted by scans). Pooled Spearman is the same over all folds at once: it is "
        "lower where the folds' encoders put equal scores at different levels (calibration across folds).",
        "Seed SD is the spread between seeds of one partition, not a confidence interval. "
        "The F1 of a class that nobody has or predicts counts as 0.",
    ]
    data = pd.concat(frames, ignore_index=True)
    cautions += numerics_caution([item.study for item in statistics])
    if "p_put_in" in data:
        cautions.append(PUT_IN)
    return Table(
        name="headline", title="Arms against the reference", data=data, panels=panels, notes=notes,
        cautions=cautions,
    )  # fmt: skip


def _falling(statistics: Sequence[StudyStatistics]) -> str:
    """Say of which primary metrics the better arm has the lower value; empty where of none."""
    falling = dict.fromkeys(m.label for m in (s.primary_metric for s in statistics) if not m.higher_is_better)
    return f" (of {' and '.join(falling)} lower is better, so a negative one is a gain)" if falling else ""


def margins(statistics: Sequence[StudyStatistics]) -> str:
    """Say what counts as practically equivalent: ``±0.02 Macro-F1``, of several metrics joined by "and"."""
    known = dict.fromkeys(item.primary_metric.margin_text for item in statistics)
    return " and ".join(filter(None, known))


def _reasons(study: StudyResults) -> list[str]:
    return [f"{study.title}: {sentence}" for sentence in failed_finals(study)]


def _main_table_text(statistics: StudyStatistics, data: pd.DataFrame) -> pd.DataFrame:
    study, primary = statistics.study, statistics.study.primary_metric
    first, second = BESIDE[study.endpoint]
    labels = [{**METRICS.built_in, **RUN_METRICS}[name].label for name in (first, second)]
    columns = [f"{statistics.primary_metric.heading} [95 % CI]", "Seed SD", f"{labels[0]} [95 % CI]"]
    columns += [
        "Difference [95 % CI]",
        "p (Holm)",
        "Verdict",
        labels[1],
        "Score Spearman [95 % CI]",
        "Pooled Spearman",
    ]
    rows = []
    for _, row in data.iterrows():
        is_reference, label = row["arm"] == study.reference, row_label(study, row["arm"])
        if np.isnan(number(row, f"{primary}_value")):
            rows.append((label, [MISSING] * len(columns)))
            continue
        verdict = "control" if row["control"] else NONE if is_reference else str(row.get("verdict", NONE))
        verdict = statistics.primary_metric.directed(verdict, number(row, "difference"))
        cells = [
            interval_text(row, f"{primary}_value", f"{primary}_"),
            plain_number(number(row, f"{primary}_seed_sd")),
            interval_text(row, f"{first}_value", f"{first}_"),
            "reference" if is_reference else _difference(study, row),
            both_p(row),
            verdict,
            plain_number(number(row, f"{second}_value")),
            interval_text(row, "spearman_value", "spearman_"),
            plain_number(number(row, "spearman_pooled")),
        ]
        rows.append((label, cells))
    return panel_of(rows, columns)


def _difference(study: StudyResults, row: pd.Series[Any]) -> str:
    return interval_text(row, "difference", sign="+") + contrast_mark(study, row["arm"])


def all_metrics(statistics: Sequence[StudyStatistics]) -> Table:
    """Table every metric of every arm with its 95 % interval."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        if item.comparison.metrics.empty:
            continue
        study = item.study
        cautions += run_cautions(study)
        data = pd.concat([item.comparison.metrics, item.proper_scores], ignore_index=True).assign(
            study=study.key
        )
        data["run_hashes"] = data["arm"].map(run_hashes(study))
        frames.append(with_run_counts(data, study))
        text = data.assign(text=[interval_text(row) for _, row in data.iterrows()])
        shown = text.pivot(index="arm", columns="metric", values="text").reindex(study.ordered_arms)
        shown_metrics = [*METRICS.shown(study.endpoint).values(), item.primary_metric]
        names = {metric.name: metric.heading for metric in shown_metrics} | probability_headings(
            study.endpoint
        )
        marked = {arm: row_label(study, arm) for arm in study.labels}
        shown = shown[list(names)].fillna(MISSING).rename(columns=names, index=marked)
        panels.append((header(study), shown))
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return Table(
        name="metrics", title="All metrics, with 95 % intervals", data=data, panels=panels, cautions=cautions
    )


def test_details(statistics: Sequence[StudyStatistics]) -> Table:
    """Table the test behind each verdict, and the probability that the arms are practically equivalent."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        study, tests = item.study, item.comparison.tests
        if tests.empty:
            continue
        cautions += [*run_cautions(study), *freeze_cautions(item)]
        traced = tests.assign(study=study.key, run_hashes=tests["arm"].map(run_hashes(study)))
        frames.append(with_run_counts(traced, study))
        rows = []
        for _, row in tests.iterrows():
            rope = [number(row, f"rope_{part}") for part in ("worse", "equivalent", "better")]
            basis = [plain_number(row["se"]), plain_number(row["se_patients"]), f"{row['degrees']:.0f}"]
            others = [p_text(row[name]) for name in ("p_bootstrap", "p_nadeau_bengio")]
            tested = [*basis, p_text(row["p"]), both_p(row), str(row["test_folds"])]
            said = item.primary_metric.directed(str(row["verdict"]), number(row, "difference"))
            cells = [*tested, *map(plain_number, rope), said, *others]
            rows.append((study.labels[row["arm"]] + contrast_mark(study, row["arm"]), cells))
        columns = ["SE", "SE of patients alone", "Degrees of freedom", "p", "p (Holm)", "Test folds"]
        columns += ["P(worse)", "P(equivalent)", "P(better)", "Verdict", "p bootstrap", "p Nadeau-Bengio"]
        panels.append((header(study), panel_of(rows, columns)))
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    notes = [
        "SE holds patients and training. The last two columns are for comparison alone: the patient "
        "bootstrap does not see training noise, Nadeau and Bengio's test sees folds alone."
    ]
    if within := margins(statistics):
        notes.append(
            "P(...) are posterior probabilities of the same t statistic with a flat prior; practical "
            f"equivalence is within {within}."
        )
    if "p_put_in" in data:
        cautions.append(PUT_IN)
    return Table(
        name="tests", title="Test behind each verdict", data=data, panels=panels, notes=notes,
        cautions=cautions,
    )  # fmt: skip
