"""The table of how strong each arm's contrastive term was, and what its final runs cost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.statistics.loss_strength import strengths
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import row_label, run_cautions
from analysis.tables.table import NONE, Table, panel_of

COLUMNS = ["Weights", "Gradient ratio, median (range)", "Final runs", "Device time", "Beside reference"]
NOTE = (
    "Gradient ratio: length of the weighted contrastive term's gradient at the embeddings, relative to the "
    "weighted regression's; median over the epochs of a run, then over final runs, with the smallest and "
    "largest run. With balanced weights the ratio is what contrastive_weight asks for; raw weights are plain "
    "factors, so that equal weights of two losses are not equal strengths. A batch without a pair to compare "
    "adds nothing to the contrastive term, which lowers the ratio. Device time: of a final run, median."
)


def loss_strength(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table each arm's gradient ratio and device time; None where no run recorded a ratio."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        study, data = item.study, strengths(item.study)
        if data.empty:
            continue
        cautions += run_cautions(study)
        traced = data.assign(study=study.key, run_hashes=data["arm"].map(run_hashes(study)))
        frames.append(with_run_counts(traced, study))
        rows = [
            (
                row_label(study, row["arm"]),
                [
                    str(row["weighting"]),
                    f"{row['gradient_ratio']:.3g} ({row['low']:.3g} to {row['high']:.3g})",
                    str(row["runs"]),
                    _times(row["device_seconds"], " s"),
                    _times(row["times_reference"], " times"),
                ],
            )
            for _, row in data.iterrows()
        ]
        panels.append((study.title, panel_of(rows, COLUMNS)))
    if not frames:
        return None
    return Table(
        name="loss_strength", title="Strength of each loss", data=pd.concat(frames, ignore_index=True),
        panels=panels, notes=[NOTE], cautions=cautions,
    )  # fmt: skip


def _times(value: float, unit: str) -> str:
    return f"{value:.3g}{unit}" if pd.notna(value) else NONE
