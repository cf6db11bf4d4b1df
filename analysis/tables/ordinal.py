"""Table of the ordinal analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import MISSING, NONE, Table, interval_text, number, panel_of, with_interval


def ordinal_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the proportional-odds analysis beside the primary metric; None where no study has a final run."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        if item.ordinal.empty:
            continue
        study, primary = item.study, item.study.primary_metric
        cautions += run_cautions(study)
        metrics = item.comparison.metrics[item.comparison.metrics["metric"] == primary]
        data = item.ordinal.set_index("arm").reindex(metrics["arm"]).reset_index()  # failed runs leave none
        rows = []
        for arm in study.ordered_arms:
            value, ratios = metrics[metrics["arm"] == arm], data[data["arm"] == arm]
            cells = _cells(value.iloc[0], ratios.iloc[0]) if len(value) else [MISSING] * 4
            if arm == item.incremental.control:  # it says nothing beside itself
                cells[2:] = [NONE, NONE]
            rows.append((row_label(study, arm), cells))
        columns = [f"{item.primary_metric.label} [95 % CI]", "Odds ratio [95 % CI]"]
        columns += ["Odds ratio beside the earlier score [95 % CI]", "At the two cuts"]
        panels.append((header(study), panel_of(rows, columns)))
        data = data.assign(study=study.key, cautions="; ".join(study.cautions))
        data["run_hashes"] = data["arm"].map(run_hashes(study))
        frames.append(with_run_counts(data, study))
    if not frames:
        return None
    notes = [
        "Odds ratio of a higher class (worse < same < better) per SD of p(better) - p(worse), out of fold "
        "and averaged over seeds and repeats, in a proportional-odds model with a covariance robust to "
        "clusters of patients; beside the earlier score: with that in the model. Training noise is not in "
        "these intervals, and no verdict rests on them.",
        "At the two cuts: the latter ratio for same or better against worse, and for better against the "
        "rest; where they differ much the odds are not proportional.",
    ]
    return Table(
        name="ordinal", title="Ordinal analysis", data=pd.concat(frames, ignore_index=True), panels=panels,
        notes=notes, cautions=cautions,
    )  # fmt: skip


def _cells(value: pd.Series[Any], ratios: pd.Series[Any]) -> list[str]:
    def ratio(prefix: str, name: str) -> str:
        low, high = number(ratios, f"{prefix}low"), number(ratios, f"{prefix}high")
        return with_interval(number(ratios, name), low, high)

    cuts = [number(ratios, f"adjusted_{name}") for name in ("not_worse", "better")]
    return [
        interval_text(value),
        ratio("", "odds_ratio"),
        ratio("adjusted_", "adjusted"),
        f"{cuts[0]:.2f} / {cuts[1]:.2f}" if np.isfinite(cuts).all() else NONE,
    ]
