"""The table of where each arm's search began: its published setting, or ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.results.run_columns import with_run_counts
from analysis.results.study import DeclaredArm, StudyResults
from analysis.statistics.loss_strength import setting_of
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import row_label, run_cautions
from analysis.tables.table import NONE, Table, panel_of

WEIGHT = "loss.contrastive_weight"
COLUMNS = ["Contrastive weight", "Other settings of the loss", "Settings that all arms have"]
NOTE = (
    "Trial 0 of every search has these values. A raw weight is a factor of the contrastive term; a balanced "
    "one is the ratio of both terms' gradients, which a raw weight lets change in every step: a published "
    "raw weight has no balanced counterpart to begin with."
)


def starts_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the values of trial 0 of each searched arm; None where no study recorded any."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        study = item.study
        begun = [(arm, dict(values)) for arm in study.arms if (values := _started(study, arm))]
        if not begun:
            continue
        cautions += run_cautions(study)
        data = pd.DataFrame([{"arm": arm.name, **values} for arm, values in begun]).assign(study=study.key)
        frames.append(with_run_counts(data, study))
        rows = [(row_label(study, arm.name), _cells(study, arm, values)) for arm, values in begun]
        panels.append((study.title, panel_of(rows, COLUMNS)))
    if not frames:
        return None
    return Table(
        name="starts", title="Where each search began", data=pd.concat(frames, ignore_index=True),
        panels=panels, notes=[NOTE], cautions=cautions,
    )  # fmt: skip


def _started(study: StudyResults, arm: DeclaredArm) -> Mapping[str, Any]:
    return (study.info.get("starts") or {}).get(arm.name) or {}


def _cells(study: StudyResults, arm: DeclaredArm, values: Mapping[str, Any]) -> list[str]:
    published = (study.info.get("published") or {}).get(arm.name) or {}
    of_loss = [
        f"{_named(key, value)}{' (published)' if published.get(key) == value else ''}"
        for key, value in values.items()
        if key.startswith("loss.") and key != WEIGHT
    ]
    others = [_named(key, value) for key, value in values.items() if not key.startswith("loss.")]
    return [_weight(study, arm, values), *(", ".join(texts) or NONE for texts in (of_loss, others))]


def _weight(study: StudyResults, arm: DeclaredArm, values: Mapping[str, Any]) -> str:
    """``base setting (balanced weight 1); published: 0.75 raw``; a dash without a contrastive term."""
    if setting_of(study, arm, "loss.name", "mse") in ("mse", "none"):
        return NONE
    kind = setting_of(study, arm, "loss.weighting", "raw")
    value = values.get(WEIGHT, setting_of(study, arm, WEIGHT, 1.0))
    weight = f"{kind} weight {value:g}"
    if "published" not in study.info:  # an older version, which recorded none
        return weight
    known = (study.info["published"].get(arm.name) or {}).get(WEIGHT)
    if kind == "raw" and value == known:
        return f"published ({weight})"
    return f"base setting ({weight}); {'none published' if known is None else f'published: {known:g} raw'}"


def _named(key: str, value: Any) -> str:
    """``temperature 0.00667``, from a dotted key."""
    shown = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{key.partition('.')[2].replace('_', ' ')} {shown}"
