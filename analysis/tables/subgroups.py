"""Tables of the subgroups: the arms in each level, and whether their differences vary between levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.names import printable
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.groupings import Grouping
from analysis.statistics.study_statistics import StudyStatistics
from analysis.statistics.subgroups import FEWEST_PATIENTS
from analysis.tables.captions import contrast_mark, row_label, run_cautions
from analysis.tables.protocol import freeze_cautions
from analysis.tables.table import NONE, Table, interval_text, number, p_text, panel_of


def subgroup_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the arms in every level of every grouping; None where no study has a grouping to show."""
    panels, frames, cautions, notes = [], [], [], []
    for item in statistics:
        found = item.subgroups
        notes += uncompared_notes(item)
        if found.levels.empty:
            continue
        cautions += run_cautions(item.study)
        frames.append(_traced(item, found.levels))
        panels += [
            (f"{item.study.title}: {heading(g)}", _levels_text(item, g, found.levels))
            for g in found.groupings
        ]
    if not frames:
        return None
    notes += [
        "Exploratory: no subgroup was declared. Difference is arm minus reference within the level, with an "
        "interval made as in the main table and adjusted for nothing; whether it varies between levels is "
        "tested in the table of heterogeneity. Levels have other shares of the classes, on which a metric "
        "depends, so values of two levels do not compare as their differences do.",
        f"A level of fewer than {FEWEST_PATIENTS} patients, or tested in a single fold, has its size and no "
        "interval. A metric has no value where a level lacks a class that it needs, and no interval where "
        "all pairs of such a class are of one patient. A patient whose pairs lie in several levels is "
        "counted in each. Controls are in the CSV.",
    ]
    return Table(
        name="subgroups", title="Subgroups", data=pd.concat(frames, ignore_index=True), panels=panels,
        notes=notes, cautions=cautions,
    )  # fmt: skip


def heterogeneity_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the tests of heterogeneity, one per grouping and arm; None where no study has any."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        study, tests = item.study, item.subgroups.tests
        if tests.empty:
            continue
        cautions += [*run_cautions(study), *freeze_cautions(item)]
        frames.append(_traced(item, tests))
        labels = {g.column: g.label for g in item.subgroups.groupings}
        rows = [
            (
                f"{printable(labels[row['grouping']])}: {study.labels[row['arm']]}"
                f"{contrast_mark(study, row['arm'])}",
                _test_text(row),
            )
            for _, row in tests.iterrows()
        ]
        columns = ["Levels compared", "F (degrees of freedom)", "p", "p (Holm)", "Reading"]
        panels.append((f"{study.title}: {len(tests)} tests", panel_of(rows, columns)))
    if not frames:
        return None
    notes = [
        "One test per grouping and arm of equal differences to the reference in all levels with an interval, "
        "pairs that lack the value left out: for two levels the t statistic of the main table, for more an F "
        "of the jackknife's covariance over patients, divided by what training adds (Rao and Scott 1981). "
        "p is adjusted by Holm over all arms and groupings of the study. Exploratory: nothing here is "
        "supported, and a difference that is not shown to vary may vary all the same.",
    ]
    return Table(
        name="heterogeneity", title="Heterogeneity between subgroups",
        data=pd.concat(frames, ignore_index=True), panels=panels, notes=notes, cautions=cautions,
    )  # fmt: skip


def heading(grouping: Grouping) -> str:
    """Name a grouping, and how it was cut: ``Earlier S/F ratio (cut at the median of all pairs, 296)``."""
    return printable(grouping.label + (f" ({grouping.rule})" if grouping.rule else ""))


def shown_arms(statistics: StudyStatistics) -> list[str]:
    """Names of the arms that are shown by subgroup: those with final runs, but no controls."""
    controls = {arm.name for arm in statistics.study.arms if arm.control}
    return [arm for arm in statistics.arms if arm not in controls]


def uncompared_notes(statistics: StudyStatistics) -> list[str]:
    """Say which groupings compare nothing, and why: one level, nothing recorded, or the same as another."""
    study, found = statistics.study, statistics.subgroups
    if study.compared.empty:
        return []
    single = [f"{g.label} ({' and '.join(g.levels)})" for g in found.one_level if g.known]
    unknown = [g.label for g in found.one_level if not g.known]
    said = [f"one level: {', '.join(single)}"] if single else []
    said += [f"not recorded: {', '.join(unknown)}"] if unknown else []
    said += [f"{g.label} divides the pairs as {other.label} does" for g, other in found.alike]
    return [printable(f"{study.title}: not compared by subgroup ({'; '.join(said)}).")] if said else []


def _traced(item: StudyStatistics, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with study, labels and the runs behind them."""
    study = item.study
    rules = {grouping.column: grouping.rule for grouping in item.subgroups.groupings}
    data = rows.assign(
        study=study.key, cautions="; ".join(study.cautions), label=rows["arm"].map(study.labels),
        reference=study.reference, rule=rows["grouping"].map(rules),
        run_hashes=rows["arm"].map(run_hashes(study)).fillna(""),
    )  # fmt: skip
    return with_run_counts(data, study)


def _levels_text(item: StudyStatistics, grouping: Grouping, levels: pd.DataFrame) -> pd.DataFrame:
    study, metric = item.study, item.primary_metric
    columns = [
        "Patients",
        "Pairs",
        "/".join(study.classes).capitalize(),
        "Arm",
        f"{metric.heading} [95 % CI]",
    ]
    rows = []
    own = levels[levels["grouping"] == grouping.column]
    for level in grouping.levels:
        of_level = {row["arm"]: row for _, row in own[own["level"] == level].iterrows()}
        first = next(iter(of_level.values()))
        size = [
            str(first["patients"]),
            str(first["pairs"]),
            "/".join(str(first[name]) for name in study.classes),
        ]
        if why := item.subgroups.without_interval.get((grouping.column, level)):
            rows.append((printable(level), [*size, why, NONE, NONE]))
            continue
        for arm in shown_arms(item):
            row = of_level[arm]
            cells = [*size, row_label(study, arm), interval_text(row), _difference(item, arm, row)]
            rows.append((printable(level), cells))
            size = ["", "", ""]
    return panel_of(rows, [*columns, "Difference [95 % CI]"])


def _difference(item: StudyStatistics, arm: str, row: pd.Series[Any]) -> str:
    if arm == item.study.reference:
        return "reference"
    text = interval_text(row, "difference", "difference_", sign="+")
    return text if text == NONE else text + contrast_mark(item.study, arm)


def _test_text(row: pd.Series[Any]) -> list[str]:
    f, within = number(row, "f"), number(row, "degrees_within")
    statistic = f"{f:.2f} ({row['degrees_between']}, {within:.0f})" if np.isfinite(f) else NONE
    return [str(row["levels"]), statistic, p_text(row["p"]), p_text(row["p_holm"]), str(row["reading"])]
