"""What arms add to the earlier score: each combined with it, against the earlier score alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pandas as pd

from analysis.results.final_runs import common_rows
from analysis.results.study import StudyResults
from analysis.results.with_earlier_score import SUFFIX, lacking_runs
from analysis.statistics.bootstrap import DRAWS
from analysis.statistics.cap import capped
from analysis.statistics.compare import Comparison, compare_counts
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.standing import Standing

T = TypeVar("T")
NOTHING = Comparison(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())


@dataclass(frozen=True, kw_only=True)
class IncrementalValue:
    """The earlier score alone, arms alone and both together, compared on the same test pairs."""

    control: str
    """Name of the arm that sees the earlier score alone; empty where none was run."""
    arms: tuple[str, ...]
    """Names of the arms that are compared, as declared, controls last."""
    family: tuple[str, ...]
    """Arms that are tested: all declared ones that are no controls, whether or not they can be compared."""
    lacking: dict[str, int]
    """Final runs that cannot be compared, by arm of the family; an arm that has such runs is left out."""
    comparison: Comparison
    """The control, the arms, and the arms under their names with `` + earlier score``: contrasts and tests
    are of the latter against the control."""

    metric: str
    """Name of the metric that is tested."""

    def row(self, table: pd.DataFrame, arm: str) -> pd.Series[Any]:
        """Return an arm's row, on the tested metric, of a table of the comparison; an empty one if none."""
        rows = table[(table["arm"] == arm) & (table["metric"] == self.metric)] if len(table) else table
        return rows.iloc[0] if len(rows) else pd.Series(dtype=object)

    @property
    def reason(self) -> str:
        """Why nothing is compared; empty where something is."""
        if not self.control:
            return "the control that sees the earlier score alone was not run"
        if not self.arms:
            return "its final runs were trained by a version that did not combine them with it"
        return ""


def incremental_value(
    study: StudyResults, primary: ReportMetric, standing: Standing, draws: int = DRAWS
) -> IncrementalValue:
    """Compare arms combined with the earlier score against the earlier score alone, by the report's rule.

    The tests are a family of their own for Holm's method: every declared arm that is no control.

    Args:
        study: as ``load`` gives it.
        primary: the metric that is tested.
        standing: what stands behind the study's verdicts, which caps these too.
        draws: of the patient bootstrap.

    Returns:
        No tests and no p values where the study's verdicts are withheld.
    """
    declared = tuple(a.name for a in study.arms if not a.control)
    control, combined = study.control_seeing("earlier_score"), study.with_earlier_score
    lacking = lacking_runs(study.ledger, combined) if len(combined) else {}
    arms = tuple(arm for arm in study.ordered_arms if lacking.get(arm) == 0)
    found = IncrementalValue(
        control=control,
        arms=arms,
        family=declared,
        lacking={arm: n for arm, n in lacking.items() if n and arm in declared},
        comparison=NOTHING,
        metric=primary.name,
    )
    if found.reason:
        return found
    names = [control, *arms, *(f"{arm}{SUFFIX}" for arm in arms)]
    rows = pd.concat([study.ledger, combined], ignore_index=True)
    rows = common_rows(rows[rows["arm"].isin(names)])
    comparison = compare_counts(
        confusion_counts(rows, tuple(names)),
        reference=control,
        family=tuple(f"{arm}{SUFFIX}" for arm in declared),
        primary=primary,
        folds=int(study.info.get("folds") or 0),
        draws=draws,
        alpha=standing.alpha,
        endpoint=study.endpoint,
    )
    if study.withheld:
        without_p = comparison.contrasts.drop(columns="p", errors="ignore")
        comparison = replace(comparison, contrasts=without_p, tests=pd.DataFrame())
    tests = capped(comparison.tests, _of_combined(standing, study, declared))
    return replace(found, comparison=replace(comparison, tests=tests))


def _of_combined(standing: Standing, study: StudyResults, declared: tuple[str, ...]) -> Standing:
    """What stands behind the arms combined with the earlier score: what does behind the arms themselves, and
    behind the reference, which is no comparison by itself, what does behind all of them."""

    def renamed(of_arm: Mapping[str, T]) -> dict[str, T]:
        found = {f"{arm}{SUFFIX}": of_arm[arm] for arm in declared if arm in of_arm}
        others = [of_arm[arm] for arm in study.family if arm in of_arm]
        if others and len(others) == len(study.family):
            found.setdefault(f"{study.reference}{SUFFIX}", others[0])
        return found

    return replace(
        standing,
        exploratory=renamed(standing.exploratory),
        configuration=renamed(standing.configuration),
        numbers=renamed(standing.numbers),
    )
