"""The comparison of one study's arms: metrics, differences with the reference, tests and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.endpoints import PROGRESSION
from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS, p_value, patient_weights, resampled
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.corrected_t import equivalence, nadeau_bengio
from analysis.statistics.estimate import estimate
from analysis.statistics.measured import difference_row, of_counts
from analysis.statistics.metrics import METRICS, Array, ReportMetric
from analysis.statistics.verdict import ALPHA, Evidence, adjusted, alpha_per_look, more_runs, verdict, weaker


@dataclass(frozen=True)
class Comparison:
    """The metrics of one study's arms, their differences with the reference, and the tests of these."""

    metrics: pd.DataFrame
    """One row per arm x metric: value, low, high (95 %), seed_sd, and what the interval rests on."""
    contrasts: pd.DataFrame
    """One row per arm x metric against the reference: difference, low, high, p before Holm, and what these
    rest on."""
    tests: pd.DataFrame
    """One row per arm against the reference, on the primary metric: p, Holm, verdict, ROPE; for comparison
    the p of the patient bootstrap and of Nadeau and Bengio, which decide nothing. Where final runs failed
    also what comes of it with the other arm's predictions in their place (``_put_in``)."""


def compare(study: StudyResults, primary: ReportMetric, draws: int = DRAWS) -> Comparison:
    """Compare the arms of a study on the pairs and runs that all of them have.

    Args:
        study: as ``load`` gives it.
        primary: the metric that is tested, as ``primary_metric`` gives it.
        draws: of the patient bootstrap, which is shown for comparison.

    Returns:
        Empty tables where the study has no final run; no tests and no p values where these are withheld.
    """
    present = set(study.compared["arm"].unique())
    confusions = confusion_counts(
        study.compared, tuple(arm.name for arm in study.arms if arm.name in present)
    )
    found = compare_counts(
        confusions,
        reference=study.reference,
        family=study.family,
        primary=primary,
        folds=int(study.info.get("folds") or 0),
        draws=draws,
        alpha=alpha_per_look(study.protocol.looks),
        endpoint=study.endpoint,
    )
    if not study.withheld:
        return found
    without_p = found.contrasts.drop(columns="p", errors="ignore")
    return replace(found, contrasts=without_p, tests=pd.DataFrame())


def compare_counts(
    confusions: ConfusionCounts,
    *,
    reference: str,
    family: tuple[str, ...],
    primary: ReportMetric = METRICS["macro_f1"],
    folds: int = 0,
    draws: int = DRAWS,
    alpha: float = ALPHA,
    endpoint: str = PROGRESSION,
) -> Comparison:
    """Compare arms from their confusion counts alone.

    Args:
        confusions: the counts of all arms to be compared.
        reference: name of the arm that the others are compared with.
        family: the arms declared as tested against the reference, whether or not they ran; others get no
            verdict.
        primary: the metric that is tested.
        folds: folds of the partition, where not all of them were run.
        draws: of the patient bootstrap, which is shown for comparison.
        alpha: of the family in a next look, for the advice of further runs.
        endpoint: whose metrics are computed beside the primary one.

    Returns:
        Empty tables where there are no arms; no contrasts and tests where the reference has no counts.
    """
    if not confusions.arms:
        return Comparison(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    shown = {**METRICS.shown(endpoint), primary.name: primary}
    measured = [of_counts(confusions, metric) for metric in shown.values()]
    metrics = pd.DataFrame([row for arm in confusions.arms for m in measured for row in m.values([arm])])
    if reference not in confusions.arms:
        return Comparison(metrics, pd.DataFrame(), pd.DataFrame())
    contrasts = pd.DataFrame([row for m in measured for row in m.differences(reference, family)])
    tests = tests_against(confusions, reference=reference, family=family, primary=primary, alpha=alpha)
    if len(tests):
        others = other_tests(
            confusions, reference=reference, arms=tests["arm"], primary=primary, folds=folds, draws=draws
        )
        tests = tests.merge(others, on="arm")
    return Comparison(metrics, contrasts, tests)


def contrast(
    confusions: ConfusionCounts, coefficients: Mapping[str, float], weights: Array, metric: ReportMetric
) -> Array:
    """Compute a linear contrast of a metric between arms in every draw of the patient bootstrap.

    All arms are taken on the patients and rounds that they share, and on the same draws; training is as it
    was.

    Args:
        confusions: the counts of at least these arms.
        coefficients: by arm; ``{arm: 1, reference: -1}`` is a difference, others are factorial effects.
        weights: how often each patient is drawn, shape (draws, patients), as ``patient_weights`` gives it.
        metric: any.

    Returns:
        Shape (draws,).
    """
    counts = confusions.shared([confusions.index(arm) for arm in coefficients])
    signs = coefficients.values()
    drawn = (s * metric.compute(resampled(weights, c)) for s, c in zip(signs, counts, strict=True))
    return np.asarray(sum(drawn))


def evidence(
    confusions: ConfusionCounts, coefficients: Mapping[str, float], primary: ReportMetric
) -> Evidence:
    """Gather what a verdict rests on: the estimate of a contrast, and the runs behind it.

    Args:
        confusions: the counts of at least these arms.
        coefficients: of the contrast, by arm.
        primary: the metric.
    """
    per_fold = per_fold_contrast(confusions, coefficients, primary)
    repeats = len(np.unique(confusions.repeats))
    return Evidence(
        estimate=estimate(confusions, coefficients, primary),
        whole=bool(np.isfinite(per_fold).all()),
        repeats=repeats,
        folds=per_fold.shape[1],
        seeds=len(confusions.rounds) // repeats,
    )


def per_fold_contrast(
    confusions: ConfusionCounts, coefficients: Mapping[str, float], metric: ReportMetric
) -> Array:
    """Compute a contrast in every final run's test fold: shape (rounds, folds), NaN where there is none."""
    index, signs = [confusions.index(arm) for arm in coefficients], np.array(list(coefficients.values()))
    ran = np.all(confusions.ran[index], axis=0)
    return np.where(ran, np.tensordot(signs, metric.compute(confusions.by_fold[index]), 1), np.nan)


def tests_against(
    confusions: ConfusionCounts,
    *,
    reference: str,
    family: tuple[str, ...],
    primary: ReportMetric,
    alpha: float = ALPHA,  # noqa: PT028 - this is no test function
) -> pd.DataFrame:
    """Test the arms of a family against the reference: p, Holm over the declared family, verdict, ROPE.

    Args:
        confusions: the counts of the arms and the reference.
        reference: the arm that the others are compared with.
        family: the arms declared as tested, whether or not they ran.
        primary: the metric.
        alpha: of the family in a next look, for the advice of further runs; the verdict is at 0.05, and is
            capped where a look has less.

    Returns:
        One row per arm of the family that ran.
    """
    tested: dict[str, Evidence] = {}
    put_in: dict[str, Evidence] = {}
    for arm in confusions.arms:
        if arm in family and arm != reference:
            coefficients = {arm: 1.0, reference: -1.0}
            tested[arm] = evidence(confusions, coefficients, primary)
            if other := confusions.put_in(arm, reference):
                put_in[arm] = evidence(other, coefficients, primary)
    return _tests(tested, put_in, len(family), primary, alpha)


def _tests(
    tested: dict[str, Evidence],
    put_in: dict[str, Evidence],
    family: int,
    primary: ReportMetric,
    alpha: float,
) -> pd.DataFrame:
    """Holm over the declared family, verdicts and the Bayesian view, one row per arm.

    Args:
        put_in: of the arms whose own runs or the reference's failed, the evidence with the other's
            predictions in their place. A verdict is never stronger than what that gives.
    """
    counted = adjusted(tested, family, alpha)
    replaced = adjusted({**tested, **put_in}, family, alpha)
    rows = []
    for arm, e in counted.items():
        other = replaced[arm]
        decided = weaker(verdict(e), verdict(other))
        if decided == "supported" and e.difference * other.difference < 0:
            decided = "not supported"
        seeds, repeats = more_runs((e, other))
        lower, same, higher = equivalence(e.estimate, primary.margin)
        worse, better = (lower, higher) if primary.higher_is_better else (higher, lower)
        row: dict[str, Any] = {
            "arm": arm, "metric": primary.name, **difference_row(e.estimate), "p": e.p, "p_holm": e.p_holm,
            "test_folds": e.repeats * e.folds, "family": family, "verdict": decided,
            "more_seeds": seeds, "more_repeats": repeats,
            "rope_worse": worse, "rope_equivalent": same, "rope_better": better,
        }  # fmt: skip
        if put_in:
            row |= {"difference_put_in": other.difference, "p_put_in": other.p, "p_holm_put_in": other.p_holm}
            row |= {"verdict_counted": verdict(e), "verdict_put_in": verdict(other)}
        rows.append(row)
    return pd.DataFrame(rows)


def other_tests(
    confusions: ConfusionCounts,
    *,
    reference: str,
    arms: Iterable[str],
    primary: ReportMetric,
    folds: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Compute the p values that readers may look for: the patient bootstrap's, Nadeau and Bengio's.

    Args:
        confusions: the counts of the arms and the reference.
        reference: the arm that the others are compared with.
        arms: those others.
        primary: the metric.
        folds: folds of the partition, where not all of them were run.
        draws: of the patient bootstrap.

    Returns:
        One row per arm: ``p_bootstrap`` and ``p_nadeau_bengio``.
    """
    weights = patient_weights(len(confusions.patients), draws)
    rows = []
    for arm in arms:
        coefficients = {arm: 1.0, reference: -1.0}
        by_repeat, _ = confusions.over_seeds(per_fold_contrast(confusions, coefficients, primary))
        corrected = nadeau_bengio(by_repeat.ravel(), 1 / max(folds, by_repeat.shape[1]))
        drawn = contrast(confusions, coefficients, weights, primary)
        rows.append({"arm": arm, "p_bootstrap": p_value(drawn), "p_nadeau_bengio": corrected.p})
    return pd.DataFrame(rows)
