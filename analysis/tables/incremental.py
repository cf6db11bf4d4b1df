"""Table of what arms add to the earlier score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.with_earlier_score import SUFFIX
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import NONE, Table, both_p, interval_text, number, panel_of

WEIGHTS = ("weight_earlier_score", "weight_own")
BOUNDS = ("value", "low", "high")


def incremental_data(statistics: StudyStatistics) -> pd.DataFrame:
    """Return one row per arm: the primary metric alone and combined with the earlier score, what the latter
    has over the earlier score alone, with both tests, and the median weights of the pool."""
    study, value = statistics.study, statistics.incremental
    found, controls = value.comparison, {a.name: a.control for a in study.arms}
    weights = study.with_earlier_score.reindex(columns=["arm", *WEIGHTS]).groupby("arm").median()
    rows = []
    for arm in [value.control, *value.arms]:
        both = f"{arm}{SUFFIX}"
        row: dict[str, object] = {
            "study": study.key, "modality": study.modality, "cautions": "; ".join(study.cautions), "arm": arm,
            "label": study.labels[arm], "control": controls[arm], "metric": study.primary_metric,
            "compared_with": value.control,
        }  # fmt: skip
        alone, with_score = value.row(found.metrics, arm), value.row(found.metrics, both)
        row |= {f"alone_{name}": alone[name] for name in BOUNDS}
        if len(with_score):
            row |= {f"both_{name}": with_score[name] for name in BOUNDS}
            added, tested = value.row(found.contrasts, both), value.row(found.tests, both)
            row |= {name: added[name] for name in ("difference", "low", "high")}
            row |= {name: float(weights[name][both]) for name in WEIGHTS}
            row |= {str(name): tested[name] for name in tested.index if name not in row}
        rows.append(row)
    data = pd.DataFrame(rows)
    data["run_hashes"] = data["arm"].map(run_hashes(study))
    return with_run_counts(data, study)


def incremental_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the incremental value of every study that has it; None where no study has."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        if item.incremental.reason or item.study.ledger.empty:
            continue
        data = incremental_data(item)
        frames.append(data)
        cautions += [*run_cautions(item.study), *left_out(item)]
        label = item.primary_metric.label
        columns = [f"{label} alone [95 % CI]", f"{label} with the earlier score [95 % CI]"]
        columns += ["Added to the earlier score [95 % CI]", "p (Holm)", "Verdict", "Weight of the arm"]
        rows = []
        for _, row in data.iterrows():
            is_control = row["arm"] == item.incremental.control
            tested = row["arm"] in item.incremental.family
            cells = [
                interval_text(row, "alone_value", "alone_"),
                interval_text(row, "both_value", "both_"),
                "compared with" if is_control else interval_text(row, "difference", sign="+"),
                both_p(row),
                _verdict(row) if tested else "control",
                _weights(row),
            ]
            rows.append((row_label(item.study, row["arm"]), cells))
        panels.append((header(item.study), panel_of(rows, columns)))
    if not frames:
        return None
    notes = [
        "An arm with the earlier score is its progression classifier pooled with the one that sees the "
        "earlier score alone; both weights are fitted in inner folds of the training patients. Added is that "
        "pool minus the earlier score alone, on the same patients and draws, tested by the rule of the main "
        "table; Holm over the declared arms is a family of its own. This way of combining, not its weights, "
        "was chosen on the lung phantom and OASIS-2.",
        "Weight of the arm is the median over final runs, beside that of the earlier score; 0 means that the "
        "arm was worthless in the inner folds.",
    ]
    return Table(
        name="incremental", title="Beyond the earlier score", data=pd.concat(frames, ignore_index=True),
        panels=panels, notes=notes, cautions=cautions,
    )  # fmt: skip


def _verdict(row: pd.Series[Any]) -> str:
    verdict = row.get("verdict")
    return verdict if isinstance(verdict, str) else NONE


def _weights(row: pd.Series[Any]) -> str:
    """The weight of the arm and that of the earlier score: ``1.20 : 0.85``."""
    own, score = number(row, "weight_own"), number(row, "weight_earlier_score")
    return f"{own:.2f} : {score:.2f}" if np.isfinite(own) else NONE


def left_out(statistics: StudyStatistics) -> list[str]:
    """Say which arms of the family are not compared with the earlier score, and why."""
    study, value = statistics.study, statistics.incremental
    absent = [arm for arm in value.family if arm not in value.arms and arm in set(study.ledger["arm"])]
    return [
        f"{study.title}: {study.labels[arm]} is not compared with the earlier score: "
        f"{value.lacking.get(arm, 0)} of its final runs were not combined with it, as older versions and "
        "end-to-end training leave them."
        for arm in absent
    ]
