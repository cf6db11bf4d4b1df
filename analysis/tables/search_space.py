"""The table of what each arm searched: every key with its range and the value the search began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.results.run_columns import with_run_counts
from analysis.results.study import DeclaredArm, StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import row_label, run_cautions
from analysis.tables.table import Table, panel_of

UNKNOWN = "not recorded"
COLUMNS = ("key", "values", "start")


def search_space(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table what each arm searched; None where no study searched anything."""
    panels, frames, cautions = [], [], []
    for study in (item.study for item in statistics):
        rows = searched_keys(study)
        if rows:
            panels.append((study.title, _panel(study, rows)))
            frames.append(with_run_counts(pd.DataFrame(rows).assign(study=study.key), study))
            cautions += run_cautions(study)
    if not frames:
        return None
    return Table(
        name="search_space",
        title="What each arm searched",
        data=pd.concat(frames, ignore_index=True),
        panels=panels,
        notes=["Start is the value of a search's first trial."],
        cautions=cautions,
    )


def _panel(study: StudyResults, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    cells = [(row_label(study, row["arm"]), [row[column] for column in COLUMNS]) for row in rows]
    return panel_of(cells, [column.capitalize() for column in COLUMNS])


def searched_keys(study: StudyResults) -> list[dict[str, Any]]:
    """List what every arm searched: ``arm``, ``key``, ``values`` and ``start``, in words."""
    return [row for arm in study.arms for row in _rows(study, arm)]


def _rows(study: StudyResults, arm: DeclaredArm) -> list[dict[str, Any]]:
    spaces = (study.info.get("spaces") or {}).get(arm.name) or study.info.get("space") or {}
    starts = (study.info.get("starts") or {}).get(arm.name) or {}
    return [
        {
            "arm": arm.name,
            "key": key,
            "values": _values(spaces.get(key)),
            "start": _number(starts.get(key)),
        }
        for key in arm.searched
    ]


def _values(distribution: Any) -> str:
    """Write an Optuna distribution, as JSON holds it: ``0.1 to 10, log`` or ``one of 3, 5, 8``."""
    attributes = distribution.get("attributes") if isinstance(distribution, Mapping) else None
    if not isinstance(attributes, Mapping):
        return UNKNOWN
    if "choices" in attributes:
        return f"one of {', '.join(map(_number, attributes['choices']))}"
    scale = "log" if attributes.get("log") else "uniform"
    return f"{_number(attributes.get('low'))} to {_number(attributes.get('high'))}, {scale}"


def _number(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.6g}" if isinstance(value, float) else str(value)
