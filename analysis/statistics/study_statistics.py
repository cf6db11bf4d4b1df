"""Everything that is computed from one study's ledger and scores, once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from analysis.results.endpoints import PROGRESSION
from analysis.results.errors import ReportError
from analysis.results.flow import Flow, flows_of
from analysis.results.looks import record_look
from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS
from analysis.statistics.cap import capped
from analysis.statistics.compare import Comparison, compare
from analysis.statistics.external import ExternalComparison, external_comparison
from analysis.statistics.incremental import IncrementalValue, incremental_value
from analysis.statistics.measured import measured_runs
from analysis.statistics.measurement import Measurement, measure
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.ordinal import ordinal_by_arm
from analysis.statistics.other_endpoints import OtherEndpoint, other_endpoints
from analysis.statistics.proper_scores import proper_scores
from analysis.statistics.rank_correlation import spearman_by_arm
from analysis.statistics.report_metric import definition
from analysis.statistics.standing import Standing, standing_of
from analysis.statistics.study_metric import primary_metric
from analysis.statistics.subgroups import Subgroups, study_subgroups


@dataclass(frozen=True)
class StudyStatistics:
    """The statistics of one study, computed once and used by every table, every figure and the page."""

    study: StudyResults
    primary_metric: ReportMetric
    """The metric that verdicts are about."""
    comparison: Comparison
    """Its verdicts are capped: they say no more than the protocol, the looks and the search allow."""
    standing: Standing
    """What caps the verdicts."""
    as_frozen: Comparison | None
    """The comparison by the frozen primary metric and reference, where one of them was changed; None where
    neither was, or where the frozen metric can no longer be had."""
    proper_scores: pd.DataFrame
    """Metrics of the probabilities per arm: Brier score and log-loss, of decline AUC too."""
    spearman: pd.DataFrame
    """Out-of-fold rank correlation of predicted and true scores, one row per arm."""
    distance: pd.DataFrame
    """Out-of-fold rank correlation of embedding distance and size of the score's change, one row per arm."""
    incremental: IncrementalValue
    """What arms add to the earlier score alone."""
    ordinal: pd.DataFrame
    """Odds ratios of a proportional-odds model, one row per arm; empty where there are not three classes."""
    draws: int
    """How many bootstrap draws the intervals rest on."""

    @property
    def arms(self) -> list[str]:
        """Names of the arms that have final runs, as declared, controls last."""
        present = set(self.study.compared["arm"].unique())
        return [arm for arm in self.study.ordered_arms if arm in present]

    @cached_property
    def flows(self) -> list[Flow]:
        """The way of scans to analysed pairs, computed at first use: of the study's cohort, then of the
        external one where it has one."""
        return flows_of(self.study)

    @cached_property
    def external(self) -> ExternalComparison | None:
        """The arms on the study's external cohort, computed at first use; None where it has none."""
        return external_comparison(self.study, self.primary_metric)

    @cached_property
    def subgroups(self) -> Subgroups:
        """The arms within subgroups of the pairs, computed at first use."""
        return study_subgroups(self.study, self.primary_metric, self.standing)

    @cached_property
    def other_endpoints(self) -> dict[str, OtherEndpoint]:
        """Decline and change read off the classes and the scores, computed at first use, by endpoint."""
        return other_endpoints(self.study)

    @cached_property
    def measurement(self) -> Measurement:
        """Reliability, calibration, net benefit and equivalence, computed at first use."""
        return measure(self.study, self.primary_metric, self.standing, self.draws)


def study_statistics(study: StudyResults, draws: int = DRAWS) -> StudyStatistics:
    """Compute everything that the report needs from one study's ledger and scores, and record the look.

    The result holds verdicts, so it is a look: where a frozen study's results were not looked at before, that
    is recorded beside its study.json (``analysis.results.looks``). Where that cannot be written,
    ``standing.unrecorded`` says so, and the verdicts are those of a new look all the same.

    An arm some of whose final runs failed has no correlation of scores and distances: those runs gave none,
    and what is left would be an average over what survived.

    Args:
        study: as ``load`` gives it.
        draws: of the patient bootstrap.

    Raises:
        ReportError: study.json names a primary metric that does not exist or cannot be had.
    """
    primary = primary_metric(study)
    comparison, standing = _judged(study, primary, draws)
    pairs, scans = (_of_whole_arms(study, t) for t in (study.compared, study.compared_scores))
    return StudyStatistics(
        study=study,
        primary_metric=primary,
        comparison=comparison,
        standing=standing,
        as_frozen=_as_frozen(study, draws),
        proper_scores=_of_probabilities(study),
        spearman=spearman_by_arm(scans, "score", "predicted", draws),
        distance=spearman_by_arm(with_absolute_change(pairs), "absolute_change", "distance", draws),
        incremental=incremental_value(study, primary, standing, draws),
        ordinal=ordinal_by_arm(pairs) if study.endpoint == PROGRESSION else pd.DataFrame(),
        draws=draws,
    )


def _of_probabilities(study: StudyResults) -> pd.DataFrame:
    if study.endpoint == PROGRESSION or study.compared.empty:
        return proper_scores(study.compared)
    present = set(study.compared["arm"])
    arms = [arm for arm in study.ordered_arms if arm in present]
    measured = measured_runs(study.compared, study.endpoint, arms)
    return pd.DataFrame([row for m in measured for row in m.values(arms)])


def _judged(study: StudyResults, primary: ReportMetric, draws: int) -> tuple[Comparison, Standing]:
    """Compare the arms, cap the verdicts, and record the look that they are."""
    found, standing = _compared(study, primary, draws), standing_of(study, definition(primary))
    comparison = replace(found, tests=capped(found.tests, standing))
    if standing.look is None or comparison.tests.empty:
        return comparison, standing
    words = dict(zip(comparison.tests["arm"], comparison.tests["verdict"], strict=True))
    failed = record_look(study.folder, replace(standing.look, verdicts=words))
    return comparison, replace(standing, unrecorded=failed)


def _compared(study: StudyResults, primary: ReportMetric, draws: int) -> Comparison:
    """Compare the arms. Those that were declared are a family of their own: an arm that came later takes no
    alpha from them, and gives them none."""
    found = compare(study, primary, draws)
    later = set(study.family) - set(study.protocol.family)
    if found.tests.empty or not study.protocol.frozen or not later & set(found.tests["arm"]):
        return found
    declared = replace(study, arms=tuple(arm for arm in study.arms if arm.name not in later))
    own = compare(declared, primary, draws).tests
    rest = found.tests[found.tests["arm"].isin(later)]
    tests = pd.concat([own, rest], ignore_index=True) if len(own) else rest.reset_index(drop=True)
    return replace(found, tests=tests)


def _as_frozen(study: StudyResults, draws: int) -> Comparison | None:
    """The comparison that was declared, where the study now asks for another."""
    protocol = study.protocol
    declared = {name: protocol.declared(name) for name in ("primary_metric", "reference")}
    now = {"primary_metric": study.primary_metric, "reference": study.reference}
    if not protocol.frozen or declared == now:
        return None
    before = replace(study, info={**study.info, **declared})
    try:
        return _judged(before, primary_metric(before), draws)[0]
    except ReportError:
        return None


def _of_whole_arms(study: StudyResults, table: pd.DataFrame) -> pd.DataFrame:
    failed = study.runs.index[study.runs["imputed_runs"] > 0]
    return table[~table["arm"].isin(failed)]


def with_absolute_change(ledger: pd.DataFrame) -> pd.DataFrame:
    """Add ``absolute_change`` to a ledger, and ``distance``, both NaN where an old ledger lacks them."""
    known = {"change", "distance"} <= set(ledger.columns)
    empty = pd.Series(float("nan"), index=ledger.index)
    return ledger.assign(
        absolute_change=ledger["change"].abs() if known else empty,
        distance=ledger["distance"] if known else empty,
    )
