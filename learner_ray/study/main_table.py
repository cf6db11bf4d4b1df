"""What a study asks of ``analysis``: its main table, and the metrics there are.

The one place of the package that names modules of ``analysis`` for it, apart from the sample size's power.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from learner_ray.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.tables.table import Table


def primary_metrics() -> tuple[str, ...]:
    """The names that a study's ``primary_metric`` may have."""
    from analysis.statistics.metrics import METRICS

    return tuple(METRICS)


def default_metric(endpoint: str) -> str:
    """The primary metric of a study that names none."""
    from analysis.statistics.metrics import PRIMARY

    return PRIMARY[endpoint]


def check_primary_metric(name: str, endpoint: str) -> None:
    """Loads a metric that is known by name.

    Raises:
        UserError: its package cannot be imported, or it does not compute what a metric must, or it is none of
            the endpoint.
    """
    from analysis.results.errors import ReportError
    from analysis.statistics.metrics import METRICS

    try:
        metric = METRICS[name]
    except ReportError as error:
        raise UserError(str(error)) from error
    # Whether a pair was called worse is known of three classes too.
    if endpoint not in (metric.endpoint, "progression"):
        known = ", ".join(METRICS.shown(endpoint))
        raise UserError(
            f"primary_metric is {name!r}, a metric of {metric.endpoint}, but progression.endpoint is "
            f"{endpoint}: name one of {known}"
        )


def metric_definition(name: str, endpoint: str) -> str:
    """What tells one version of a metric from another; empty for one that comes with the report.

    Raises:
        UserError: as :func:`check_primary_metric` does.
    """
    from analysis.statistics.metrics import METRICS
    from analysis.statistics.report_metric import definition

    check_primary_metric(name, endpoint)
    return definition(METRICS[name])


def decision_rule() -> dict[str, float]:
    """The rule by which verdicts are reached: the number of its version, ``analysis``, and ``alpha``."""
    from analysis.statistics.rule import ANALYSIS
    from analysis.statistics.verdict import ALPHA

    return {"analysis": ANALYSIS, "alpha": ALPHA}


def calibration() -> dict[str, Any] | None:
    """What was measured of the rule's error and of its intervals, and under which conditions; None where
    nothing was."""
    from analysis.statistics.rule import ANALYSIS, CALIBRATION

    return CALIBRATION.get(ANALYSIS)


def main_table_text(out: Path) -> str:
    """The main table of a finished study, as text for a terminal."""
    from analysis.tables.render import plain

    return plain(_main_table(out))


def main_table_data(out: Path) -> pd.DataFrame:
    """The numbers of the main table: one row per arm.

    Raises:
        UserError: the folder holds no study with a final run.
    """
    from analysis.results.errors import ReportError

    try:
        return _main_table(out).data
    except ReportError as error:
        raise UserError(str(error)) from error


def _main_table(out: Path) -> Table:
    from analysis.results.load import load
    from analysis.statistics.study_statistics import study_statistics
    from analysis.tables.main_table import main_table

    return main_table([study_statistics(study) for study in load([out]).studies])
