"""Whether an arm is equivalent to the reference: two one-sided tests (TOST) against a stated margin.

An arm is equivalent within a margin m where both "it is lower by m or more" and "it is higher by m or more"
are refuted, each at 5 % (Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15); the same is
said by a 90 % interval that lies within -m and m. That no difference was found is no equivalence.

One statistic gives verdict and equivalence: ``OneSided`` asks of the rule behind the verdict its one-sided p
values and its 90 % interval. Where that rule changes, ``one_sided`` changes with it, and nothing else here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS, interval, patient_weights
from analysis.statistics.compare import contrast, evidence
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.corrected_t import CorrectedT
from analysis.statistics.metrics import METRICS, Array, ReportMetric
from analysis.statistics.verdict import ALPHA, holm

MARGIN = 0.05
"""Margin where a study declares none: a choice, not a finding. It holds for the metrics that come with the
report, whose unit it has; a metric of one's own needs a margin of its own."""


@dataclass(frozen=True)
class OneSided:
    """The difference of two arms on one metric, as the rule behind the verdict sees it."""

    value: float
    draws: Array
    """The difference in every draw of the bootstrap, shape (draws,)."""
    corrected: CorrectedT

    def p(self, bound: float) -> tuple[float, float]:
        """Test the difference against a bound, from both sides.

        Returns:
            p of "it is ``bound`` or less" and p of "it is ``bound`` or more", NaN where the rule has none.
        """
        if not np.isfinite(self.corrected.scale) or not np.isfinite(self.draws).all():
            return float("nan"), float("nan")
        below = float(((self.draws <= bound).sum() + 1) / (len(self.draws) + 1))
        above = float(((self.draws >= bound).sum() + 1) / (len(self.draws) + 1))
        t_below, t_above = self._p_corrected(bound)
        return max(below, t_below / 2), max(above, t_above / 2)

    def _p_corrected(self, bound: float) -> tuple[float, float]:
        away = bound - self.corrected.mean
        if self.corrected.scale == 0:
            return float(away >= 0), float(away <= 0)
        t = away / self.corrected.scale
        return float(stdtr(self.corrected.degrees, t)), float(stdtr(self.corrected.degrees, -t))

    def interval(self, level: float) -> tuple[float, float]:
        """Give the interval of all bounds that neither side refutes at (1 - level) / 2."""
        if not np.isfinite(self.p(0.0)).all():
            return float("nan"), float("nan")
        low, high = interval(self.draws, level)
        half = float(stdtrit(self.corrected.degrees, level)) * self.corrected.scale
        return min(low, self.corrected.mean - half), max(high, self.corrected.mean + half)


def one_sided(
    confusions: ConfusionCounts, arm: str, reference: str, primary: ReportMetric, folds: int, draws: int
) -> OneSided:
    """Compare an arm with the reference by the rule behind the verdict: max(p bootstrap, p corrected t / 2).

    Args:
        confusions: the counts of at least these arms.
        arm: name of the arm.
        reference: name of the arm it is compared with.
        primary: the metric.
        folds: folds of the partition, where not all of them were run.
        draws: of the patient bootstrap.
    """
    weights = patient_weights(len(confusions.patients), draws)
    coefficients = {arm: 1.0, reference: -1.0}
    difference = contrast(confusions, coefficients, weights, {primary.name: primary})[primary.name]
    corrected = evidence(confusions, coefficients, primary, difference, folds).corrected
    return OneSided(difference.value, difference.draws, corrected)


def margin_of(study: StudyResults, primary: ReportMetric) -> float:
    """Return the margin that the study declared, else the default; NaN for a metric that has none."""
    declared = study.info.get("equivalence_margin")
    if declared is not None:
        return float(declared)
    return MARGIN if primary.name in METRICS.built_in else float("nan")


def equivalence_tests(study: StudyResults, primary: ReportMetric, draws: int = DRAWS) -> pd.DataFrame:
    """Test every arm of the declared family for equivalence with the reference, on the primary metric.

    p values are adjusted by Holm over the family, as those of the verdicts are. Where final runs failed, the
    test is made with the majority class and with the other arm's predictions in their place, and the larger
    p stands.

    Returns:
        One row per arm: ``margin``, ``difference``, ``low`` and ``high`` (90 % interval), ``p_tost``,
        ``p_holm`` and ``equivalent``. Empty where verdicts are withheld, the reference did not run or the
        metric has no margin.
    """
    margin, ledger = margin_of(study, primary), study.compared
    present = set(ledger["arm"].unique())
    if study.withheld or study.reference not in present or not np.isfinite(margin):
        return pd.DataFrame()
    arms = [arm for arm in study.family if arm in present]
    if not arms:
        return pd.DataFrame()
    confusions = confusion_counts(ledger, (*arms, study.reference))
    rows = [_row(confusions, arm, study, primary, margin, draws) for arm in arms]
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p_tost"].to_numpy(np.float64), len(study.family))
    return table.assign(equivalent=table["p_holm"] <= ALPHA)


def _row(
    confusions: ConfusionCounts, arm: str, study: StudyResults, primary: ReportMetric, margin: float,
    draws: int,
) -> dict[str, Any]:  # fmt: skip
    folds = int(study.info.get("folds") or 0)
    ways = [confusions, confusions.put_in(arm, study.reference)]
    found = [one_sided(way, arm, study.reference, primary, folds, draws) for way in ways if way is not None]
    bounds = [one.interval(1 - 2 * ALPHA) for one in found]
    low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    return {
        "arm": arm, "metric": primary.name, "margin": margin, "difference": found[0].value,
        "low": low, "high": high, "p_tost": max(tost(one, margin) for one in found),
    }  # fmt: skip


def tost(difference: OneSided, margin: float) -> float:
    """Compute p of the two one-sided tests: the larger of "lower by the margin" and "higher by it"."""
    (not_lower, _), (_, not_higher) = difference.p(-margin), difference.p(margin)
    return float(np.maximum(not_lower, not_higher))
