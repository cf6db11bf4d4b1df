"""Endpoints that a study of three classes did not train for, read off what its arms predicted.

Decline is read off the class *worse* and its probability, the change off the two predicted scores. Nothing is
trained for them, and no verdict rests on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.results.endpoints import CHANGE, DECLINE, PROGRESSION
from analysis.results.study import StudyResults
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.directed_metric import DirectedMetric
from analysis.statistics.measured import Measured, measured_runs, of_counts
from analysis.statistics.metrics import METRICS

NO_CHANGE = "no change"
"""Name of a row that predicts a change of zero for every pair."""


@dataclass(frozen=True)
class OtherEndpoint:
    """The arms of one study on an endpoint that is not its own."""

    endpoint: str
    metrics: pd.DataFrame
    """One row per arm x metric, with the columns of ``Comparison.metrics``."""
    contrasts: pd.DataFrame
    """One row per arm x metric against the reference: difference, low, high; no p."""
    shown: tuple[DirectedMetric, ...]
    """The metrics, in the order tables show them."""


def other_endpoints(study: StudyResults) -> dict[str, OtherEndpoint]:
    """Compute the endpoints decline and change of a study of three classes, by name of the endpoint.

    An arm predicts a change where it predicts scores: those without an encoder do not, nor do those of which
    a final run failed.

    Args:
        study: as ``load`` gives it.

    Returns:
        Nothing of a study of another endpoint, or without final runs.
    """
    if study.endpoint != PROGRESSION or study.compared.empty:
        return {}
    return {e.endpoint: e for e in (_decline(study), _change(study)) if e is not None}


def _decline(study: StudyResults) -> OtherEndpoint:
    rows = study.compared
    arms = tuple(arm for arm in study.ordered_arms if arm in set(rows["arm"]))
    counts = confusion_counts(rows, arms)
    measured = [of_counts(counts, metric) for metric in METRICS.shown(DECLINE).values()]
    return _tabled(study, DECLINE, measured + measured_runs(rows, DECLINE, arms))


def _change(study: StudyResults) -> OtherEndpoint | None:
    rows = with_change_predicted(study)
    lacking = rows["arm"][rows[["change", "change_pred"]].isna().any(axis=1)]
    out = {*lacking, *study.runs.index[study.runs["imputed_runs"] > 0]}
    arms = [arm for arm in study.ordered_arms if arm in set(rows["arm"]) - out]
    if not arms:
        return None
    rows = rows[rows["arm"].isin(arms)]
    still = rows[rows["arm"] == arms[0]].assign(arm=NO_CHANGE, change_pred=0.0)
    rows, names = pd.concat([rows, still], ignore_index=True), (*arms, NO_CHANGE)
    return _tabled(study, CHANGE, measured_runs(rows, CHANGE, names))


def with_change_predicted(study: StudyResults) -> pd.DataFrame:
    """The compared rows of a study with ``change_pred``: the later predicted score minus the earlier one,
    healthier positive as ``change`` is; NaN where no scores were predicted."""
    rows, wanted = study.compared, ("change", "pred_earlier", "pred_later")
    if not set(wanted) <= set(rows.columns):
        return rows.assign(change=np.nan, change_pred=np.nan)
    sign = -1 if (study.cohort.get("score") or {}).get("healthier") == "lower" else 1
    return rows.assign(change_pred=sign * (rows["pred_later"] - rows["pred_earlier"]))


def _tabled(study: StudyResults, endpoint: str, measured: Sequence[Measured]) -> OtherEndpoint:
    metrics = [row for m in measured for row in m.values(m.arms)]
    contrasts: list[dict[str, object]] = []
    if study.reference in measured[0].arms:
        contrasts = [row for m in measured for row in m.differences(study.reference, study.family)]
    return OtherEndpoint(
        endpoint=endpoint,
        metrics=pd.DataFrame(metrics),
        contrasts=pd.DataFrame(contrasts).drop(columns="p", errors="ignore"),
        shown=tuple(m.metric for m in measured),
    )
