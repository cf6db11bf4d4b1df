"""What a clinician asks beside accuracy: does the measurement repeat, is it calibrated, is it of use."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS
from analysis.statistics.equivalence_test import equivalence_tests
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.net_benefit import net_benefit
from analysis.statistics.recalibration import recalibration
from analysis.statistics.standing import Standing
from analysis.statistics.study_repeatability import Retests, study_repeatability


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurement properties of one study, each with its interval."""

    retests: list[Retests]
    """The score first, then predicted score and embedding of every arm with an encoder."""
    calibration: pd.DataFrame
    """One row per arm and class, as ``recalibration`` gives them; NaN for arms with failed final runs, whose
    numbers would be of the majority class in part."""
    net_benefit: pd.DataFrame
    """One row per arm and threshold, as ``net_benefit`` gives them."""
    equivalence: pd.DataFrame
    """One row per arm of the family, as ``equivalence_tests`` gives them."""
    earlier_score: str
    """The control that sees the earlier score alone; empty where none was run."""


def measure(
    study: StudyResults, primary: ReportMetric, standing: Standing, draws: int = DRAWS
) -> Measurement:
    """Compute the measurement properties of one study.

    Args:
        study: as ``load`` gives it.
        primary: the metric that equivalence is tested on.
        standing: what stands behind the study's verdicts.
        draws: of the patient bootstrap.
    """
    ledger = study.compared
    earlier = study.control_seeing("earlier_score")
    calibration = recalibration(ledger)
    if len(calibration):
        numbers = [name for name in calibration if str(name).startswith(("intercept", "slope"))]
        failed = study.runs.index[study.runs["imputed_runs"] > 0]
        calibration.loc[calibration["arm"].isin(failed), numbers] = float("nan")
    return Measurement(
        retests=study_repeatability(study, draws),
        calibration=calibration,
        net_benefit=net_benefit(ledger, earlier, draws),
        equivalence=equivalence_tests(study, primary, standing),
        earlier_score=earlier,
    )
