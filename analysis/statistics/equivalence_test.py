"""Whether an arm is equivalent to the reference: two one-sided tests (TOST) against a stated margin.

An arm is equivalent within a margin m where both "it is lower by m or more" and "it is higher by m or more"
are refuted, each at 5 % (Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15); the same is
said by a 90 % interval that lies within -m and m. That no difference was found is no equivalence.

The statistic is the one behind the verdict (``estimate.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.compare import evidence
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.estimate import Estimate, with_family_noise
from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.standing import Standing
from analysis.statistics.verdict import ALPHA, holm

MARGIN = 0.05
"""Margin where a study declares none: a choice, not a finding. It holds for the metrics that come with the
report, whose unit it has; a metric of one's own needs a margin of its own."""


def margin_of(study: StudyResults, primary: ReportMetric) -> float:
    """Return the margin that the study declared, else the default; NaN for a metric that has none."""
    declared = study.info.get("equivalence_margin")
    if declared is not None:
        return float(declared)
    return MARGIN if primary.name in METRICS.built_in else float("nan")


def margin_changed(study: StudyResults) -> int:
    """Final runs that there were when the margin became another than declared; 0 while it is as declared."""
    return study.protocol.changed("equivalence_margin", study.info.get("equivalence_margin"))


def equivalence_tests(study: StudyResults, primary: ReportMetric, standing: Standing) -> pd.DataFrame:
    """Test every arm of the declared family for equivalence with the reference, on the primary metric.

    p values are adjusted by Holm over the family, as those of the verdicts are. Where final runs failed, the
    test is made with the majority class and with the other arm's predictions in their place, and the larger
    p stands.

    Args:
        study: as ``load`` gives it.
        primary: the study's primary metric.
        standing: what stands behind the study's verdicts: an exploratory arm is never equivalent, and of
            several declared looks each has its part of alpha. Nor is any arm within a margin that was
            changed when there were final runs.

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
    counted, put_in = (
        _estimates(confusions, arms, study.reference, primary, put_in=p) for p in (False, True)
    )
    table = pd.DataFrame(
        [
            {"arm": arm, "metric": primary.name, "margin": margin, **_row(ways, margin)}
            for arm, *ways in zip(arms, counted, put_in, strict=True)
        ]
    )
    table["p_holm"] = holm(table["p_tost"].to_numpy(np.float64), len(study.family))
    counts = ~table["arm"].isin(list(standing.exploratory)) & (margin_changed(study) == 0)
    return table.assign(equivalent=(table["p_holm"] <= min(ALPHA, standing.alpha)) & counts)


def _estimates(
    confusions: ConfusionCounts, arms: Sequence[str], reference: str, primary: ReportMetric, *, put_in: bool
) -> list[Estimate | None]:
    """The difference of each arm, as the verdict sees it; None where that has no test."""
    found = []
    for arm in arms:
        edited = confusions.put_in(arm, reference) if put_in else None
        found.append(evidence(edited or confusions, {arm: 1.0, reference: -1.0}, primary))
    shared = with_family_noise([e.estimate for e in found])
    return [s if np.isfinite(e.p) else None for e, s in zip(found, shared, strict=True)]


def _row(ways: Sequence[Estimate | None], margin: float) -> dict[str, Any]:
    """The difference counted, the widest of the intervals and the largest p."""
    known = [way for way in ways if way is not None]
    if len(known) < len(ways):
        return dict.fromkeys(("difference", "low", "high", "p_tost"), float("nan"))
    bounds = [way.interval(1 - 2 * ALPHA) for way in known]
    return {
        "difference": known[0].value, "low": min(b[0] for b in bounds), "high": max(b[1] for b in bounds),
        "p_tost": max(tost(way, margin) for way in known),
    }  # fmt: skip


def tost(difference: Estimate, margin: float) -> float:
    """Compute p of the two one-sided tests: the larger of "lower by the margin" and "higher by it"."""
    (not_lower, _), (_, not_higher) = difference.one_sided(-margin), difference.one_sided(margin)
    return float(np.maximum(not_lower, not_higher))
