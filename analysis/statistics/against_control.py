"""Whether the best of several arms beats a control, with the choice of the best inside the interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import DRAWS, LEVEL, patient_weights, resampled
from analysis.statistics.compare import tests_against
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.metrics import Array, ReportMetric
from analysis.statistics.verdict import ALPHA


@dataclass(frozen=True, kw_only=True)
class AgainstControl:
    """The best arm minus the control, in the metric's own unit and direction."""

    best: str
    """The arm whose observed value is the best."""
    difference: float
    """Its value minus the control's."""
    low: float
    """Lower end of the interval of the largest difference of any arm."""
    high: float
    answer: str
    """``beats`` where some arm is better than the control, ``beaten`` where all are worse, else empty."""


def best_against_control(
    ledger: pd.DataFrame,
    arms: Sequence[str],
    control: str,
    metric: ReportMetric,
    *,
    draws: int = DRAWS,
) -> AgainstControl:
    """Compare the best of some arms with a control.

    Which arm is the best is chance too: the best of ten arms equal to the control lies above it. So the end
    of the interval that says *better* is that of each arm's difference, widened by how much further the
    largest of the arms' bootstrap deviations reaches than one arm's does, and *beats* needs the verdict
    *supported*, with Holm over the arms. That all arms are worse needs each of them to be worse by the same
    rule, which no choice makes more likely.

    Args:
        ledger: the compared rows of the study.
        arms: the arms, at least one.
        control: the control.
        metric: the primary metric.
        draws: of the patient bootstrap.
    """
    confusions = confusion_counts(ledger, (control, *arms))
    rows = tests_against(confusions, reference=control, family=tuple(arms), primary=metric)
    ends = rows[["low", "high"]].to_numpy(dtype=np.float64) * metric.sign
    gain, low, high = rows["difference"].to_numpy() * metric.sign, ends.min(1), ends.max(1)
    widened = gain - _factor(confusions, metric, draws) * (gain - low)
    best = int(np.nanargmax(gain)) if np.isfinite(gain).any() else 0
    lower, upper = (float(np.max(end)) if np.isfinite(end).all() else float("nan") for end in (widened, high))
    answer = ""
    if lower > 0 and ((rows["verdict"] == "supported") & (gain > 0)).any():
        answer = "beats"
    elif upper < 0 and ((rows["p"] <= ALPHA) & (gain < 0)).all():
        answer = "beaten"
    first, second = sorted((metric.sign * lower, metric.sign * upper))
    return AgainstControl(
        best=str(rows["arm"][best]), difference=float(rows["difference"][best]), low=first, high=second,
        answer=answer,
    )  # fmt: skip


def _factor(confusions: ConfusionCounts, metric: ReportMetric, draws: int) -> float:
    """How much further the largest of all arms' deviations from the control reaches than a single one."""
    weights = patient_weights(len(confusions.patients), draws)
    values = np.stack(
        [metric.compute(resampled(weights, confusions.averaged(i))) for i in range(len(confusions.arms))]
    )
    drawn: Array = metric.sign * (values[1:] - values[0])
    known = drawn[:, np.isfinite(drawn).all(0)]
    spread = known.std(1, keepdims=True) if known.size else np.zeros((len(drawn), 1))
    moving = known[spread[:, 0] > 0]
    if len(moving) < 2:
        return 1.0
    moving = (moving - moving.mean(1, keepdims=True)) / moving.std(1, keepdims=True)
    single, largest = (np.quantile(d, (1 + LEVEL) / 2) for d in (moving.ravel(), moving.max(0)))
    return max(1.0, float(largest / single))
