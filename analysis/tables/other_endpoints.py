"""Tables of the endpoints that a study of three classes did not train for: decline, and the change itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.results.endpoints import CHANGE, DECLINE
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.study import StudyResults
from analysis.statistics.directed_metric import DirectedMetric
from analysis.statistics.other_endpoints import NO_CHANGE, OtherEndpoint
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import contrast_mark, header, row_label, run_cautions
from analysis.tables.table import NONE, Table, interval_text, panel_of

WITH_DIFFERENCE = ("decline_balanced_accuracy", "decline_auc", "change_spearman", "change_mae")
"""Metrics beside which the table shows the difference with the reference; the CSV has all of them."""
SECONDARY = (
    "Secondary and exploratory: nothing was searched or trained for this endpoint, no protocol declared it, "
    "and no verdict rests on it. Intervals and differences come from the statistic of the main table; no p "
    "is given, and nothing is adjusted over metrics or endpoints."
)


def decline_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table worse against the rest, read off the three classes; None where no study has it."""
    notes = [
        SECONDARY,
        "Decline is called where the predicted class is worse; its probability is that of worse. AUC is the "
        "share of comparisons of a pair that got worse with one that did not, within a final run, in which "
        "the former has the higher probability of worse; ties count half.",
    ]
    return _table(statistics, DECLINE, "Decline (worse or not), read off the three classes", notes)


def change_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the change of score, read off the predicted scores; None where no study has it."""
    notes = [
        SECONDARY,
        "The predicted change is the later predicted score minus the earlier one, healthier positive; arms "
        "without an encoder predict none. Spearman is taken within each final run and averaged (Fisher's z, "
        "weighted by pairs). MAE is in the score's unit. The last row predicts a change of zero for every "
        "pair: an arm with a larger MAE is further from the truth than who expects no change.",
    ]
    return _table(statistics, CHANGE, "Change of score, read off the predicted scores", notes)


def _table(
    statistics: Sequence[StudyStatistics], endpoint: str, title: str, notes: list[str]
) -> Table | None:
    panels, frames, cautions = [], [], []
    for item in statistics:
        found = item.other_endpoints.get(endpoint)
        if found is None:
            continue
        study = item.study
        cautions += run_cautions(study)
        frames.append(_data(study, found))
        rows = [
            (row_label(study, arm), [text for m in found.shown for text in _cells(study, found, arm, m)])
            for arm in study.ordered_arms
        ]
        if endpoint == CHANGE:
            still = [text for metric in found.shown for text in _cells(study, found, NO_CHANGE, metric)]
            rows.append(("No change predicted", still))
        panels.append((header(study), panel_of(rows, _columns(found))))
    if not frames:
        return None
    data = pd.concat(frames, ignore_index=True)
    return Table(name=endpoint, title=title, data=data, panels=panels, notes=notes, cautions=cautions)


def _columns(found: OtherEndpoint) -> list[str]:
    columns = []
    for metric in found.shown:
        columns.append(f"{metric.heading} [95 % CI]")
        columns += ["Difference [95 % CI]"] if metric.name in WITH_DIFFERENCE else []
    return columns


def _cells(study: StudyResults, found: OtherEndpoint, arm: str, metric: DirectedMetric) -> list[str]:
    value = interval_text(_row(found.metrics, arm, metric))
    if metric.name not in WITH_DIFFERENCE:
        return [value]
    if arm == study.reference:
        return [value, "reference" if value != NONE else NONE]
    difference = interval_text(_row(found.contrasts, arm, metric), "difference", sign="+")
    return [value, difference + (contrast_mark(study, arm) if difference != NONE else "")]


def _row(table: pd.DataFrame, arm: str, metric: DirectedMetric) -> pd.Series[Any]:
    rows = table[(table["arm"] == arm) & (table["metric"] == metric.name)] if len(table) else table
    return rows.iloc[0] if len(rows) else pd.Series(dtype=object)


def _data(study: StudyResults, found: OtherEndpoint) -> pd.DataFrame:
    """One row per arm and metric: value and difference with their intervals, and the runs behind them; empty
    where an arm predicts nothing of the endpoint."""
    arms = dict.fromkeys([*study.ordered_arms, *found.metrics["arm"]])
    every = pd.MultiIndex.from_product([[metric.name for metric in found.shown], arms])
    data = found.metrics.set_index(["metric", "arm"]).reindex(every).rename_axis(["metric", "arm"])
    data = data.reset_index()
    if len(found.contrasts):
        names = {"low": "difference_low", "high": "difference_high"}
        differences = found.contrasts[["arm", "metric", "difference", "low", "high"]].rename(columns=names)
        data = data.merge(differences, on=["arm", "metric"], how="left")
    score = study.cohort.get("score") or {}
    unit = str(score.get("unit") or score.get("name") or "")
    data = data.assign(
        study=study.key, cautions="; ".join(study.cautions), endpoint=found.endpoint, exploratory=True,
        unit=data["metric"].map({"change_mae": unit}).fillna(""),
        run_hashes=data["arm"].map(run_hashes(study)),
    )  # fmt: skip
    return with_run_counts(data, study)
