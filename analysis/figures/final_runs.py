"""Figures of the final runs: differences, confusion matrices, embedding distances, calibration."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from analysis.results.endpoints import PROGRESSION
from analysis.results.names import file_name
from analysis.results.patient_numbers import with_numbers
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.proper_scores import reliability
from analysis.statistics.study_statistics import StudyStatistics, with_absolute_change
from analysis.tables.captions import contrast_mark, header, row_label, run_cautions
from analysis.tables.main_table import margins
from analysis.tables.protocol import freeze_cautions
from analysis.tables.table import both_p, interval_text, number

MOST_POINTS = 3000
"""Above this many points a scatter is drawn as pixels, so that the page stays small."""


def forest(statistics: Sequence[StudyStatistics]) -> Drawing | None:
    """Draw the paired differences of all arms with the reference, and the band of practical equivalence.

    Returns:
        The forest plot, one panel per study with tests; None where no study has any.
    """
    shown = [a for a in statistics if len(a.comparison.tests)]
    if not shown:
        return None
    heights = [len(a.comparison.tests) + 1 for a in shown]
    frames = []
    with matplotlib.rc_context(STYLE):
        figure = canvas(9.0, 0.34 * sum(heights) + 0.6 * len(shown))
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axis, item in zip(axes[:, 0], shown, strict=True):
            frames.append(_forest_panel(axis, item))
        metrics = " / ".join(dict.fromkeys(item.primary_metric.label for item in shown))
        axes[-1, 0].set_xlabel(f"difference of {metrics} with the reference{_better_side(shown)}")
    data = pd.concat(frames, ignore_index=True)
    return Drawing(
        name="forest",
        title="Differences with the reference arm",
        description="Arm minus reference on the same patients, with the 95 % interval. Coloured: supported."
        + _band(shown)
        + _cautions(shown)
        + "".join(f" {caution}" for item in shown for caution in freeze_cautions(item)),
        spoken="; ".join(f"{r['label']}, {r['study']}: {_forest_text(r)}" for _, r in data.iterrows()),
        figure=figure,
        data=data,
    )


def _better_side(statistics: Sequence[StudyStatistics]) -> str:
    """Say at which end of the axis the better arms lie, where all studies agree."""
    signs = {item.primary_metric.sign for item in statistics}
    if len(signs) > 1:
        falling = [item.study.title for item in statistics if not item.primary_metric.higher_is_better]
        return f" (better: right, of {', '.join(falling)} left)"
    return " (better: right)" if signs == {1} else " (better: left)"


def _band(statistics: Sequence[StudyStatistics]) -> str:
    within = margins(statistics)
    return f" Band: practically equivalent, within {within}." if within else ""


def _cautions(statistics: Sequence[StudyStatistics]) -> str:
    """What the marks beside the arms' names mean, as sentences to follow a description."""
    return "".join(f" {caution}" for item in statistics for caution in run_cautions(item.study))


def _forest_text(row: pd.Series[Any]) -> str:
    difference = interval_text(row, "difference", sign="+")
    return f"{difference}, p {both_p(row)}, {row['said']}"


def _forest_panel(axis: Axes, item: StudyStatistics) -> pd.DataFrame:
    study = item.study
    metric = item.primary_metric
    rows = item.comparison.tests
    said = [metric.directed(str(row["verdict"]), number(row, "difference")) for _, row in rows.iterrows()]
    rows = rows.assign(study=study.key, label=rows["arm"].map(study.labels), said=said)
    rows = with_run_counts(rows.assign(run_hashes=rows["arm"].map(run_hashes(study))), study)
    if margin := metric.margin:
        axis.axvspan(-margin, margin, color=PALETTE[-1], alpha=0.18, linewidth=0)
    axis.axvline(0, color=FAINT, linewidth=0.8)
    for y, (_, row) in enumerate(rows.iterrows()):
        colour = PALETTE[0] if row["verdict"] == "supported" else FAINT
        draw_interval(axis, y, (number(row, "low"), number(row, "high")), number(row, "difference"), colour)
        write_beside(axis, y, _forest_text(row))
    name_rows(axis, [study.labels[arm] + contrast_mark(study, arm) for arm in rows["arm"]])
    axis.set_title(f"{header(study)}; reference {study.labels.get(study.reference, study.reference)}",
                   loc="left", fontsize=9)  # fmt: skip
    return rows


def _grid(arms: Sequence[str], size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Small multiples, four to a row, one per arm."""
    columns = min(4, len(arms))
    rows = math.ceil(len(arms) / columns)
    figure = canvas(size[0] * columns + 0.4, size[1] * rows + 0.6)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(arms))]
    return figure, axes


def _same_ticks(axes: Sequence[Axes], ticks: Sequence[float], labels: Sequence[str]) -> None:
    """Give small multiples the same ticks on both axes, labelled on the left and below each column.

    Not ``sharex``: matplotlib then looks at every panel to place the labels of each, 30 x 30 times here.
    """
    columns = min(4, len(axes))
    for i, axis in enumerate(axes):
        bottom, left = i + columns >= len(axes), i % columns == 0
        axis.set_xticks(ticks, labels if bottom else [""] * len(ticks))
        axis.set_yticks(ticks, labels if left else [""] * len(ticks))


def _wrapped(label: str) -> str:
    return textwrap.fill(label, 24)


def confusion(statistics: StudyStatistics) -> Drawing:
    """Draw the confusion matrices of all arms, averaged over runs: shares of the true class, and pairs."""
    study, arms, classes = statistics.study, statistics.arms, statistics.study.classes
    cells = confusion_counts(study.compared, tuple(arms))
    data = []
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(arms, (2.1, 2.2))
        for axis, arm in zip(axes, arms, strict=True):
            counts = cells.averaged(cells.index(arm)).sum(0)[: len(classes), : len(classes)]
            shares = counts / np.maximum(counts.sum(1, keepdims=True), 1e-12)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for i, j in np.ndindex(counts.shape):
                share, pairs = float(shares[i, j]), float(counts[i, j])
                colour = "white" if share > 0.55 else "#202020"
                axis.text(
                    j, i, f"{share:.0%}\n{pairs:.1f}", ha="center", va="center", fontsize=8, color=colour
                )
                outcome = {"true": classes[i], "predicted": classes[j], "pairs": pairs, "share": share}
                data.append({"arm": arm, **outcome})
            axis.set_title(_wrapped(row_label(study, arm)), fontsize=8)
            axis.tick_params(length=0)
        _same_ticks(axes, range(len(classes)), classes)
        figure.supxlabel("predicted", fontsize=9)
        figure.supylabel("true", fontsize=9)
    return _drawing(
        statistics, figure, data, "confusion", "Confusion matrices",
        "Rows are the true class, columns the predicted one; shares of the true class, with the number "
        "of pairs averaged over seeds and repeats.",
    )  # fmt: skip


def distance(statistics: StudyStatistics) -> Drawing | None:
    """Draw embedding distance against the size of the score's change, by arm (Fig. 1 of arXiv 2411.01144).

    Returns:
        The scatter plots; None where no arm has the correlation (no encoder, or failed runs).
    """
    study, rho = statistics.study, statistics.distance.set_index("arm")
    arms = [arm for arm in statistics.arms if arm in rho.index]
    if not arms:
        return None
    rows = with_absolute_change(study.compared)
    rows["relative_distance"] = rows["distance"] / _median_of_run(rows)
    pairs = rows.groupby(["arm", "patient", "pair"], sort=False)
    points = pairs[["absolute_change", "relative_distance"]].mean().reset_index().dropna()
    texts = {str(arm): interval_text(row) for arm, row in rho.iterrows()}
    many = len(points) > MOST_POINTS
    score = study.cohort.get("score") or {}
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(arms, (2.2, 2.1))
        for axis, arm in zip(axes, arms, strict=True):
            own = points[points["arm"] == arm]
            x, y = own["absolute_change"], own["relative_distance"]
            axis.scatter(x, y, s=6, color=PALETTE[0], alpha=0.5, linewidths=0, rasterized=many)
            axis.set_title(f"{_wrapped(row_label(study, arm))}\nρ {texts[arm]}", fontsize=8)
        figure.supxlabel(f"|change of {score.get('name', 'score')}|", fontsize=9)
        figure.supylabel("cosine distance / median of its run", fontsize=9)
    data = with_numbers(points, study).merge(statistics.distance.rename(columns={"value": "rho"}), on="arm")
    return _drawing(
        statistics, figure, data, "distance", "Embedding distance and change of the score",
        "One point per progression pair, averaged over runs, each run's distances in units of their median, "
        "since every run has an encoder of its own; rho is the Spearman correlation within test folds "
        "(Fisher mean) with its patient-bootstrap interval.",
    )  # fmt: skip


def _median_of_run(rows: pd.DataFrame) -> pd.Series[float]:
    """The median distance in the final run of each row; NaN where an encoder tells no two scans apart."""
    medians = rows.groupby(["arm", "repeat", "fold", "seed"])["distance"].transform("median")
    return medians.where(medians > 0)


def calibration(statistics: StudyStatistics) -> Drawing:
    """Draw the reliability of the predicted probabilities: three classes pooled one against the rest, or
    worse alone."""
    study, arms = statistics.study, statistics.arms
    of = "all three classes pooled" if study.endpoint == PROGRESSION else "worse against not worse"
    bins = reliability(study.compared)
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(arms, (1.9, 1.9))
        for axis, arm in zip(axes, arms, strict=True):
            own = bins[bins["arm"] == arm]
            axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
            axis.plot(own["predicted"], own["observed"], color=PALETTE[0], linewidth=1)
            area = 120 * own["count"] / own["count"].sum()
            axis.scatter(own["predicted"], own["observed"], s=area, color=PALETTE[0])
            axis.set_title(_wrapped(row_label(study, arm)), fontsize=8)
            axis.set_xlim(0, 1)
            axis.set_ylim(0, 1)
        _same_ticks(axes, (0, 0.5, 1), ("0", "0.5", "1"))
        figure.supxlabel("predicted probability", fontsize=9)
        figure.supylabel("observed frequency", fontsize=9)
    return _drawing(
        statistics, figure, bins, "reliability", "Reliability",
        f"Predicted probability against observed frequency in ten bins, {of}; the area "
        "of a point is its share of the predictions; on the dashed line probabilities mean what they say.",
    )  # fmt: skip


def _drawing(
    statistics: StudyStatistics,
    figure: Figure,
    data: pd.DataFrame | list[dict[str, object]],
    name: str,
    title: str,
    text: str,
) -> Drawing:
    """Make the drawing of one study, titled with it, its rows traced to their runs."""
    study, table = statistics.study, with_run_counts(pd.DataFrame(data), statistics.study)
    with matplotlib.rc_context(STYLE):
        figure.suptitle(header(study), fontsize=8, color=FAINT)
    return Drawing(
        name=file_name(f"{name}-{study.key}"), title=f"{title}, {study.title}",
        description=text + _cautions([statistics]), figure=figure,
        data=table.assign(run_hashes=table["arm"].map(run_hashes(study))),
    )  # fmt: skip
