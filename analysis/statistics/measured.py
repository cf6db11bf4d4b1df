"""A metric measured on a study, of counts or of the rows of runs, as the rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.confusion_counts import ConfusionCounts
from analysis.statistics.directed_metric import DirectedMetric
from analysis.statistics.estimate import Estimate, estimate, with_family_noise
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.run_metrics import RUN_METRICS, RunMetric
from analysis.statistics.run_values import RunValues, estimate_of, run_values


@dataclass(frozen=True)
class Measured:
    """A metric with what estimates it."""

    metric: DirectedMetric
    arms: tuple[str, ...]
    estimate: Callable[[Mapping[str, float]], Estimate]
    """Estimates a linear contrast between arms: ``{arm: 1}`` is a value, ``{arm: 1, reference: -1}`` a
    difference."""
    seed_sd: Callable[[str], float]
    """The spread of an arm's value between seeds of one partition."""

    def values(self, arms: Sequence[str]) -> list[dict[str, Any]]:
        """One row per arm: value, low, high (95 %), seed_sd, and what the interval rests on."""
        rows = []
        for arm in arms:
            found = self.estimate({arm: 1.0})
            # An arm's own value cannot lie beyond the metric's bounds; np.clip keeps NaN.
            low, high = (float(end) for end in np.clip(found.interval(), *self.metric.bounds))
            row = {"arm": arm, "metric": self.metric.name, "value": found.value, "low": low, "high": high}
            rows.append(row | {"seed_sd": self.seed_sd(arm)} | _basis(found))
        return rows

    def differences(self, reference: str, family: Sequence[str]) -> list[dict[str, Any]]:
        """One row per arm but the reference; arms of the family share what they show of training noise."""
        others = [arm for arm in self.arms if arm != reference]
        found = {arm: self.estimate({arm: 1.0, reference: -1.0}) for arm in others}
        tested = [arm for arm in others if arm in family]
        found |= dict(zip(tested, with_family_noise([found[arm] for arm in tested]), strict=True))
        return [{"arm": arm, "metric": self.metric.name, **difference_row(e)} for arm, e in found.items()]


def of_counts(confusions: ConfusionCounts, metric: ReportMetric) -> Measured:
    """A metric of the predicted classes."""

    def seed_sd(arm: str) -> float:
        per_round = confusions.by_patient[confusions.index(arm)].sum(1)[:, None]
        return float(np.sqrt(confusions.over_seeds(metric.compute(per_round))[1]))

    return Measured(metric, confusions.arms, lambda c: estimate(confusions, c, metric), seed_sd)


def of_runs(values: RunValues, metric: RunMetric) -> Measured:
    """A metric of the rows of runs, as ``run_values`` measured it."""
    return Measured(metric, values.arms, lambda c: estimate_of(values, c), values.seed_sd)


def measured_runs(rows: pd.DataFrame, endpoint: str, arms: Sequence[str]) -> list[Measured]:
    """Measure every metric of an endpoint that is none of counts.

    Args:
        rows: of a ledger, with the columns that the metrics need.
        endpoint: whose metrics.
        arms: which arms, in that order.
    """
    shown = (metric for metric in RUN_METRICS.values() if metric.endpoint == endpoint)
    return [of_runs(run_values(rows, metric, arms), metric) for metric in shown]


def difference_row(found: Estimate) -> dict[str, float]:
    """Put a contrast into columns: difference, low and high (95 %), p before Holm, and what these rest on."""
    low, high = found.interval()
    return {"difference": found.value, "low": low, "high": high, "p": found.p} | _basis(found)


def _basis(found: Estimate) -> dict[str, float]:
    """What an interval rests on: its standard error, the part of patients, degrees of freedom."""
    return {"se": found.scale, "se_patients": float(np.sqrt(found.patients)), "degrees": found.degrees}
