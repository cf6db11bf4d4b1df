"""The decision curve: net benefit of acting on a predicted "worse", by threshold probability."""

from __future__ import annotations

import math

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.drawing import FAINT, PALETTE, STYLE, Drawing, canvas
from analysis.results.names import file_name
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.net_benefit import THRESHOLDS, TREAT_ALL
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions

COLUMNS = 3
"""Panels to a row."""


def decision_curve(statistics: StudyStatistics) -> Drawing:
    """Draw the net benefit of each arm with its 95 % band, beside acting on all, on none, and the control
    that sees the earlier score alone.
    """
    study, curves = statistics.study, statistics.measurement.net_benefit
    earlier = statistics.measurement.earlier_score
    controls = {arm.name for arm in study.arms if arm.control}
    arms = [arm for arm in statistics.arms if arm not in controls] or statistics.arms
    with matplotlib.rc_context(STYLE):
        rows = math.ceil(len(arms) / COLUMNS)
        figure = canvas(2.9 * min(COLUMNS, len(arms)) + 0.4, 2.2 * rows + 1.0)
        axes = [figure.add_subplot(rows, min(COLUMNS, len(arms)), i + 1) for i in range(len(arms))]
        for axis, arm in zip(axes, arms, strict=True):
            _panel(axis, curves, arm, earlier)
            axis.set_title(row_label(study, arm), fontsize=8, wrap=True)
            axis.set_xlabel("threshold probability of worse", fontsize=8)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
        figure.supylabel("net benefit", fontsize=9)
        figure.suptitle(header(study), fontsize=8, color=FAINT)
    data = with_run_counts(curves.assign(run_hashes=curves["arm"].map(run_hashes(study)).fillna("")), study)
    return Drawing(
        name=file_name(f"decision-{study.key}"),
        title=f"Decision curve for worse, {study.title}",
        description="Net benefit (true positives per pair, false ones weighed by t/(1 - t)) of acting "
        "where the predicted probability of worse is at least t, with the 95 % interval at each t, of "
        "patients and training. An arm is of use where its line lies above acting on all, on none, and on "
        "the earlier score alone." + "".join(f" {caution}" for caution in run_cautions(study)),
        figure=figure,
        data=data,
    )


def _panel(axis: Axes, curves: pd.DataFrame, arm: str, earlier: str) -> None:
    own = curves[curves["arm"] == arm]
    axis.axhline(0, color=FAINT, linewidth=0.8, label="on none")
    others = [(TREAT_ALL, "on all", "--", FAINT)]
    others += [(earlier, "on the earlier score alone", ":", PALETTE[1])] if earlier and arm != earlier else []
    for name, label, dashes, colour in others:
        other = curves[curves["arm"] == name]
        axis.plot(other["threshold"], other["value"], dashes, color=colour, linewidth=1.2, label=label)
    axis.fill_between(own["threshold"], own["low"], own["high"], color=PALETTE[0], alpha=0.18, linewidth=0)
    axis.plot(
        own["threshold"], own["value"], color=PALETTE[0], linewidth=1.6, label="on the arm (95 % interval)"
    )
    top = float(curves["high"].max())
    axis.set_ylim(-0.25 * top, 1.05 * top)  # acting on all falls without end
    axis.set_xlim(float(THRESHOLDS[0]), float(THRESHOLDS[-1]))
