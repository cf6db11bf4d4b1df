"""Tables: full-precision data beside the text that is printed.

A table has one panel per study. ``data`` is tidy and names the runs behind every row; ``panels`` are what a
reader sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.agreement import spearman_by_arm
from analysis.bootstrap import DRAWS
from analysis.compare import Comparison, compare
from analysis.load import Study
from analysis.metrics import METRICS

MISSING = "missing"
NONE = "–"


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    """File name without its ending."""
    title: str
    data: pd.DataFrame
    panels: list[tuple[str, pd.DataFrame]]
    """Header of the panel and its text, indexed by row label; all panels have the same columns."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Analysed:
    """A study with its statistics, computed once and used by every table and figure."""

    study: Study
    comparison: Comparison
    spearman: pd.DataFrame
    """Out-of-fold agreement of predicted and true scores, one row per arm."""


def analyse(study: Study, draws: int = DRAWS) -> Analysed:
    """Everything that is computed from one study's ledger and scores."""
    comparison = compare(study, draws)
    return Analysed(study, comparison, spearman_by_arm(study.scores, "score", "predicted", draws))


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """``0.487 [0.408, 0.561]``."""
    if not np.isfinite(value):
        return NONE
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def p_text(p: float) -> str:
    if not np.isfinite(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def header(study: Study) -> str:
    """``LUS (189 patients, 300 pairs; worse/same/better 90/120/90), phantom``."""
    pairs = study.ledger.drop_duplicates(["patient", "pair"])
    counts = [int((pairs["y_true"] == c).sum()) for c in range(3)]
    size = f"{pairs['patient'].nunique()} patients, {len(pairs)} pairs"
    size += f"; worse/same/better {'/'.join(map(str, counts))}"
    name, *cautions = study.title.split(", ")
    return ", ".join([f"{name} ({size})", *cautions])


def footnote(study: Study) -> str:
    """Protocol, bootstrap, search effort, split hash and git SHA of one study."""
    info = study.info
    design = " x ".join(f"{info.get(key, '?')} {key}" for key in ("folds", "repeats", "seeds"))
    parts = [
        f"{study.title}: protocol {info.get('protocol', 'not recorded')}",
        design,
        f"{DRAWS:,} patient-cluster bootstrap draws, 95 % intervals",
        _effort(study),
        f"splits {str(info.get('split_hash', 'not recorded'))[:12]}",
        f"code {str(info.get('git_sha', 'not recorded'))[:12]}",
    ]
    return "; ".join(parts) + "."


def _effort(study: Study) -> str:
    """Trials and device-hours per arm, in one phrase when the arms are alike."""
    if study.trials.empty:
        return "search not recorded"
    groups = study.trials.groupby("arm")
    trials = groups.size()
    hours = groups["device_seconds"].sum() / 3600 if "device_seconds" in study.trials else None
    if trials.nunique() == 1:
        text = f"{trials.iloc[0]} trials per arm"
    else:
        text = "trials per arm " + ", ".join(f"{study.labels.get(str(a), a)} {n}" for a, n in trials.items())
    if hours is None or hours.isna().all():
        return text
    return f"{text}, {hours.min():.2g} to {hours.max():.2g} device-hours per arm"


def run_hashes(study: Study) -> pd.Series[str]:
    """The final runs behind each arm, joined by semicolons."""
    runs = study.ledger[["arm", "run_hash"]].drop_duplicates()
    return runs.groupby("arm")["run_hash"].agg(lambda hashes: ";".join(sorted(map(str, hashes))))


def ordered_arms(study: Study) -> list[str]:
    """Arms as declared, controls last."""
    return [a.name for a in study.arms if not a.control] + [a.name for a in study.arms if a.control]


def _wide(frame: pd.DataFrame, arm: str, metric: str, prefix: str) -> dict[str, float]:
    """One arm's row of a long table as prefixed columns; nothing where it is missing."""
    if frame.empty:
        return {}
    row = (
        frame[(frame["arm"] == arm) & (frame["metric"] == metric)]
        if "metric" in frame
        else frame[frame["arm"] == arm]
    )
    return (
        {f"{prefix}{c}": row.iloc[0][c] for c in row.columns if c not in ("arm", "metric")}
        if len(row)
        else {}
    )


def headline_data(analysed: Analysed) -> pd.DataFrame:
    """One row per declared arm with every number of the headline table, and the runs behind it."""
    study, c, primary = analysed.study, analysed.comparison, analysed.study.primary_metric
    hashes = run_hashes(study) if len(study.ledger) else pd.Series(dtype=str)
    controls = {a.name: a.control for a in study.arms}
    runs = study.ledger.groupby("arm")["run_hash"].nunique() if len(study.ledger) else pd.Series(dtype=int)
    rows = []
    for arm in ordered_arms(study):
        row: dict[str, object] = {
            "study": study.key, "modality": study.modality, "cautions": "; ".join(study.cautions), "arm": arm,
            "label": study.labels[arm], "control": controls[arm], "reference": study.reference,
        }  # fmt: skip
        for metric in dict.fromkeys([primary, "macro_f1", "accuracy", "qwk"]):
            row |= _wide(c.metrics, arm, metric, f"{metric}_")
        row |= _wide(c.contrasts, arm, primary, "")
        row |= _wide(c.tests, arm, primary, "")
        row |= _wide(analysed.spearman, arm, "", "spearman_")
        rows.append(row | {"final_runs": int(runs.get(arm, 0)), "run_hashes": hashes.get(arm, "")})
    return pd.DataFrame(rows)


def headline(analysed: Sequence[Analysed]) -> Table:
    """Arms by studies: the primary comparison, one panel per study, controls as rows."""
    panels, frames, notes = [], [], []
    for item in analysed:
        data = headline_data(item)
        frames.append(data)
        if len(item.study.ledger):
            panels.append((header(item.study), _headline_text(item.study, data)))
        notes.append(footnote(item.study))
        notes += [f"{item.study.title}: {problem}." for problem in item.study.problems]
    notes += [
        "Difference is arm minus reference on the same patients and draws; "
        "p is max(p bootstrap, p Nadeau-Bengio / 2), "
        "Holm-adjusted over the declared arms of the study; controls are not tested.",
        "Seed SD is the spread between seeds of one partition, not a confidence interval. "
        "The F1 of a class that nobody has or predicts counts as 0.",
    ]
    data = pd.concat(frames, ignore_index=True)
    return Table(name="headline", title="Arms against the reference", data=data, panels=panels, notes=notes)


def number(row: pd.Series[Any], name: str) -> float:
    """A number of a row; NaN where the column is missing or empty."""
    value = row.get(name)
    return float("nan") if value is None else float(value)


def _interval(row: pd.Series[Any], value: str, prefix: str = "", sign: str = "") -> str:
    return with_interval(number(row, value), number(row, f"{prefix}low"), number(row, f"{prefix}high"), sign)


def plain_number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else NONE


def _headline_text(study: Study, data: pd.DataFrame) -> pd.DataFrame:
    primary = study.primary_metric
    columns = [f"{METRICS[primary].label} [95 % CI]", "Seed SD", "Accuracy [95 % CI]", "Difference [95 % CI]"]
    columns += ["p (Holm)", "Verdict", "QWK", "Score Spearman [95 % CI]"]
    rows = {}
    for _, row in data.iterrows():
        is_reference = row["arm"] == study.reference
        if np.isnan(number(row, f"{primary}_value")):
            rows[str(row["label"])] = [MISSING] * len(columns)
            continue
        verdict = "control" if row["control"] else NONE if is_reference else str(row.get("verdict", NONE))
        rows[str(row["label"])] = [
            _interval(row, f"{primary}_value", f"{primary}_"),
            plain_number(number(row, f"{primary}_seed_sd")),
            _interval(row, "accuracy_value", "accuracy_"),
            "reference" if is_reference else _interval(row, "difference", sign="+"),
            p_text(number(row, "p_holm")),
            verdict,
            plain_number(number(row, "qwk_value")),
            _interval(row, "spearman_value", "spearman_"),
        ]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def all_metrics(analysed: Sequence[Analysed]) -> Table:
    """Every metric of every arm with its interval."""
    panels, frames = [], []
    for item in analysed:
        if item.comparison.metrics.empty:
            continue
        study = item.study
        data = item.comparison.metrics.assign(study=study.key)
        data["run_hashes"] = data["arm"].map(run_hashes(study))
        frames.append(data)
        text = data.assign(text=[with_interval(*v) for v in data[["value", "low", "high"]].to_numpy()])
        shown = (
            text.pivot(index="arm", columns="metric", values="text")
            .reindex(ordered_arms(study))
            .fillna(MISSING)
        )
        shown = shown[list(METRICS)].rename(columns={k: m.label for k, m in METRICS.items()})
        panels.append((header(study), shown.rename(index=study.labels)))
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return Table(name="metrics", title="All metrics, with 95 % intervals", data=data, panels=panels)
