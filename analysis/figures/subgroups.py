"""The forest plot of subgroups: each arm's difference to the reference within every level."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures.drawing import FAINT, PALETTE, STYLE, Drawing, canvas
from analysis.results.names import file_name, printable
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import contrast_mark, header, run_cautions
from analysis.tables.subgroups import shown_arms

ARMS_IN_A_ROW = 3
GAP = 1.6
"""Rows between the last level of a grouping and the first of the next, which its name stands in."""


def subgroup_forest(statistics: StudyStatistics) -> Drawing | None:
    """Draw every arm's difference to the reference in each level with its 95 % interval, one panel per arm.

    Returns:
        The plot; None where the study has no grouping, or no arm but the reference.
    """
    study, found = statistics.study, statistics.subgroups
    arms = [arm for arm in shown_arms(statistics) if arm != study.reference]
    if found.levels.empty or not arms or not np.isfinite(found.levels["difference"]).any():
        return None
    places, names = _places(statistics)
    across = min(ARMS_IN_A_ROW, len(arms))
    down = -(-len(arms) // across)
    height = max(places.values()) + 1
    with matplotlib.rc_context(STYLE):
        figure = canvas(3.2 + 2.3 * across, (0.21 * height + 0.7) * down + 0.4)
        axes = figure.subplots(down, across, sharex=True, squeeze=False).ravel()
        for position, axis in enumerate(axes):
            if position >= len(arms):
                axis.set_visible(False)
                continue
            _panel(axis, statistics, arms[position], places, names, is_first=position % across == 0)
        figure.supxlabel(f"difference of {statistics.primary_metric.heading} with the reference", fontsize=9)
        figure.suptitle(header(study), fontsize=8, color=FAINT)
    data = found.levels[found.levels["arm"].isin(arms)]
    data = with_run_counts(data.assign(study=study.key, run_hashes=data["arm"].map(run_hashes(study))), study)
    return Drawing(
        name=file_name(f"subgroups-{study.key}"),
        title=f"Differences with the reference by subgroup, {study.title}",
        description="Arm minus reference within each level, with the 95 % interval; in brackets the patients "
        "of the level; dashed: the difference in all patients. Exploratory: intervals are adjusted for "
        "nothing, and that one leaves out zero while another does not is no sign that the levels differ."
        + "".join(f" {caution}" for caution in run_cautions(study)),
        figure=figure,
        data=data,
    )  # fmt: skip


def _places(statistics: StudyStatistics) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """The height of every level, and that of every grouping's name, counted from the top."""
    levels, names, y = {}, {}, 0.0
    for grouping in statistics.subgroups.groupings:
        names[grouping.label] = y
        for level in grouping.levels:
            y += 1
            levels[grouping.column, level] = y
        y += GAP
    return levels, names


def _panel(
    axis: Axes,
    statistics: StudyStatistics,
    arm: str,
    places: dict[tuple[str, str], float],
    names: dict[str, float],
    *,
    is_first: bool,
) -> None:
    rows = statistics.subgroups.levels
    own: dict[Any, dict[Any, Any]] = {
        (row["grouping"], row["level"]): row for row in rows[rows["arm"] == arm].to_dict("records")
    }
    axis.axvline(0, color=FAINT, linewidth=0.8)
    axis.axvline(_overall(statistics, arm), color=FAINT, linewidth=0.8, linestyle="--")
    for place, y in places.items():
        row = own[place]
        axis.plot([row["difference_low"], row["difference_high"]], [y, y], color=PALETTE[0], linewidth=1.6)
        axis.plot(row["difference"], y, "o", color=PALETTE[0], markersize=4)
    axis.set_ylim(max(places.values()) + 0.7, -0.7)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.set_title(statistics.study.labels[arm] + contrast_mark(statistics.study, arm), fontsize=8, wrap=True)
    axis.xaxis.set_major_locator(MaxNLocator(5))
    if not is_first:
        axis.set_yticks([])
        return
    ticks = {y: printable(name) for name, y in names.items()}
    ticks |= {y: f"{printable(place[1])} ({own[place]['patients']})" for place, y in places.items()}
    axis.set_yticks([*ticks], [*ticks.values()], fontsize=8)
    for label in axis.get_yticklabels()[: len(names)]:
        label.set_fontweight("bold")


def _overall(statistics: StudyStatistics, arm: str) -> float:
    rows: pd.DataFrame = statistics.comparison.contrasts
    own = rows[(rows["arm"] == arm) & (rows["metric"] == statistics.primary_metric.name)]
    return float(own["difference"].iloc[0])
