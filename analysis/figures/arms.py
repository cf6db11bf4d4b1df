"""The figure of all arms side by side: what each reaches in the primary metric."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.drawing import (
    FAINT,
    PALETTE,
    STYLE,
    Drawing,
    canvas,
    draw_interval,
    name_rows,
    write_beside,
)
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import interval_text, number


def arms_drawing(statistics: Sequence[StudyStatistics]) -> Drawing | None:
    """Draw the primary metric of every arm, controls included, with its interval.

    Returns:
        The figure, one panel per study; None where no study has a final run.
    """
    shown = [item for item in statistics if not item.comparison.metrics.empty]
    if not shown:
        return None
    heights = [len(item.arms) + 1 for item in shown]
    with matplotlib.rc_context(STYLE):
        figure = canvas(9.0, 0.34 * sum(heights) + 0.6 * len(shown))
        axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
        frames = [_panel(axis, item) for axis, item in zip(axes, shown, strict=True)]
    data = pd.concat(frames, ignore_index=True)
    cautions = "".join(f" {caution}" for item in shown for caution in run_cautions(item.study))
    return Drawing(
        name="arms",
        title="What each arm reaches",
        description="The primary metric on test patients with its 95 % interval; controls in grey. Intervals "
        "that overlap are no test: the same patients are behind all arms, and the differences are below."
        + cautions,
        spoken="; ".join(f"{r['label']}, {r['study']}: {interval_text(r)}" for _, r in data.iterrows()),
        figure=figure,
        data=data,
    )


def _panel(axis: Axes, item: StudyStatistics) -> pd.DataFrame:
    study, metric = item.study, item.primary_metric
    controls = {arm.name for arm in study.arms if arm.control}
    rows = item.comparison.metrics
    rows = rows[rows["metric"] == metric.name].set_index("arm").reindex(item.arms).reset_index()
    for y, (_, row) in enumerate(rows.iterrows()):
        colour = FAINT if row["arm"] in controls else PALETTE[0]
        draw_interval(axis, y, (number(row, "low"), number(row, "high")), number(row, "value"), colour)
        write_beside(axis, y, interval_text(row))
    name_rows(axis, [row_label(study, arm) for arm in rows["arm"]])
    axis.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
    axis.set_xlabel(f"{metric.label} ({'higher' if metric.higher_is_better else 'lower'} is better)")
    axis.set_title(header(study), loc="left", fontsize=9)
    rows = rows.assign(study=study.key, label=rows["arm"].map(study.labels))
    return with_run_counts(rows.assign(run_hashes=rows["arm"].map(run_hashes(study))), study)
