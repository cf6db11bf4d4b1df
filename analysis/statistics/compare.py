"""The comparison of one study's arms: metrics, differences with the reference, tests and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS, interval, p_value, patient_weights, resampled
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.corrected_t import equivalence, nadeau_bengio
from analysis.statistics.metrics import METRICS, Array, ReportMetric
from analysis.statistics.verdict import Evidence, holm, more_runs, verdict, weaker


@dataclass(frozen=True)
class Comparison:
    """The metrics of one study's arms, their differences with the reference, and the tests of these."""

    metrics: pd.DataFrame
    """One row per arm x metric: value, low, high (95 %), seed_sd."""
    contrasts: pd.DataFrame
    """One row per arm x metric against the reference: difference, low, high, p_bootstrap."""
    tests: pd.DataFrame
    """One row per arm against the reference, on the primary metric: both p values, Holm, verdict, ROPE. Where
    final runs failed also what comes of it with the other arm's predictions in their place (``_put_in``)."""


def compare(study: StudyResults, primary: ReportMetric, draws: int = DRAWS) -> Comparison:
    """Compare the arms of a study on the pairs and runs that all of them have.

    Args:
        study: as ``load`` gives it.
        primary: the metric that is tested, as ``primary_metric`` gives it.
        draws: of the patient bootstrap.

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
    )
    if not study.withheld:
        return found
    without_p = found.contrasts.drop(columns="p_bootstrap", errors="ignore")
    return replace(found, contrasts=without_p, tests=pd.DataFrame())


def compare_counts(
    confusions: ConfusionCounts,
    *,
    reference: str,
    family: tuple[str, ...],
    primary: ReportMetric = METRICS["macro_f1"],
    folds: int = 0,
    draws: int = DRAWS,
) -> Comparison:
    """Compare arms from their confusion counts alone.

    Args:
        confusions: the counts of all arms to be compared.
        reference: name of the arm that the others are compared with.
        family: the arms declared as tested against the reference, whether or not they ran; others get no
            verdict.
        primary: the metric that is tested.
        folds: folds of the partition, where not all of them were run.
        draws: of the patient bootstrap.

    Returns:
        Empty tables where there are no arms; no contrasts and tests where the reference has no counts.
    """
    if not confusions.arms:
        return Comparison(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    weights = patient_weights(len(confusions.patients), draws)
    shown = {**METRICS.built_in, primary.name: primary}
    metrics = pd.DataFrame(
        [row for arm in confusions.arms for row in _arm_rows(confusions, arm, weights, shown)]
    )
    if reference not in confusions.arms:
        return Comparison(metrics, pd.DataFrame(), pd.DataFrame())
    contrasts: list[dict[str, Any]] = []
    tested: dict[str, Evidence] = {}
    put_in: dict[str, Evidence] = {}
    for arm in confusions.arms:
        if arm == reference:
            continue
        coefficients = {arm: 1.0, reference: -1.0}
        differences = contrast(confusions, coefficients, weights, shown)
        contrasts += [{"arm": arm, "metric": name, **d.row} for name, d in differences.items()]
        if arm in family:
            tested[arm] = evidence(confusions, coefficients, primary, differences[primary.name], folds)
            if other := confusions.put_in(arm, reference):
                difference = contrast(other, coefficients, weights, {primary.name: primary})[primary.name]
                put_in[arm] = evidence(other, coefficients, primary, difference, folds)
    return Comparison(metrics, pd.DataFrame(contrasts), _tests(tested, put_in, len(family), primary))


def _arm_rows(
    confusions: ConfusionCounts, arm: str, weights: Array, metrics: Mapping[str, ReportMetric]
) -> list[dict[str, Any]]:
    index = confusions.index(arm)
    counts = confusions.averaged(index)
    drawn, total = resampled(weights, counts), counts.sum(0)
    per_round = confusions.by_patient[index].sum(1)[:, None]
    rows = []
    for name, metric in metrics.items():
        low, high = interval(metric.compute(drawn))
        seed_sd = float(np.sqrt(confusions.over_seeds(metric.compute(per_round))[1]))
        value = float(metric.compute(total))
        rows.append(
            {"arm": arm, "metric": name, "value": value, "low": low, "high": high, "seed_sd": seed_sd}
        )
    return rows


@dataclass(frozen=True)
class Difference:
    """The difference of one metric between arms."""

    value: float
    """The observed difference."""
    draws: Array
    """The difference in every draw of the bootstrap, shape (draws,)."""

    @property
    def row(self) -> dict[str, float]:
        """The difference with its 95 % interval and bootstrap p, as columns of a table."""
        low, high = interval(self.draws)
        return {"difference": self.value, "low": low, "high": high, "p_bootstrap": p_value(self.draws)}


def contrast(
    confusions: ConfusionCounts,
    coefficients: Mapping[str, float],
    weights: Array,
    metrics: Mapping[str, ReportMetric],
) -> dict[str, Difference]:
    """Compute a linear contrast of each metric between arms.

    All arms are taken on the patients and rounds that they share, and on the same draws.

    Args:
        confusions: the counts of at least these arms.
        coefficients: by arm; ``{arm: 1, reference: -1}`` is a difference, others are factorial effects.
        weights: how often each patient is drawn, shape (draws, patients), as ``patient_weights`` gives it.
        metrics: by name.

    Returns:
        The contrast by name of the metric.
    """
    counts = confusions.shared([confusions.index(arm) for arm in coefficients])
    drawn, totals = [resampled(weights, c) for c in counts], [c.sum(0) for c in counts]
    signs = list(coefficients.values())
    found = {}
    for name, metric in metrics.items():
        value = sum(s * float(metric.compute(t)) for s, t in zip(signs, totals, strict=True))
        draws = sum(s * metric.compute(d) for s, d in zip(signs, drawn, strict=True))
        found[name] = Difference(float(value), np.asarray(draws))
    return found


def evidence(
    confusions: ConfusionCounts,
    coefficients: Mapping[str, float],
    primary: ReportMetric,
    difference: Difference,
    folds: int,
) -> Evidence:
    """Gather what a verdict rests on: both p values of a contrast and the parts of its variance.

    Args:
        confusions: the counts of at least these arms.
        coefficients: of the contrast, by arm.
        primary: the metric.
        difference: the contrast of that metric, as ``contrast`` gives it.
        folds: folds of the partition, where not all of them were run.
    """
    metric = primary.compute
    index, signs = [confusions.index(arm) for arm in coefficients], np.array(list(coefficients.values()))
    ran = np.all(confusions.ran[index], axis=0)
    per_fold = np.where(ran, np.tensordot(signs, metric(confusions.by_fold[index]), 1), np.nan)
    by_repeat, seed_variance = confusions.over_seeds(per_fold)
    tested = np.all(confusions.tested[index], axis=0, keepdims=True)[..., None, None]
    whole = np.tensordot(signs, metric((confusions.by_patient[index] * tested).sum(2)), 1)
    test_share = 1 / max(folds, by_repeat.shape[1])
    known = by_repeat[np.isfinite(by_repeat)]
    # Where the metric is not defined in some run or draw, what is left of the others is no test.
    whole_test = bool(np.isfinite(per_fold).all() and np.isfinite(difference.draws).all())
    corrected = nadeau_bengio(known, test_share)
    return Evidence(
        difference=difference.value,
        p_bootstrap=p_value(difference.draws) if whole_test else float("nan"),
        bootstrap_variance=float(np.nanvar(difference.draws)),
        corrected=corrected if whole_test else replace(corrected, p=float("nan"), scale=float("nan")),
        fold_variance=float(known.var(ddof=1)) if len(known) > 1 else float("nan"),
        seed_variance=seed_variance,
        round_variance=confusions.over_seeds(whole[:, None])[1],
        repeats=len(by_repeat),
        folds=by_repeat.shape[1],
        seeds=len(confusions.rounds) // len(by_repeat),
        test_share=test_share,
    )


def _tests(
    tested: dict[str, Evidence], put_in: dict[str, Evidence], family: int, primary: ReportMetric
) -> pd.DataFrame:
    """Holm over the declared family, verdicts and the Bayesian view, one row per arm.

    Args:
        put_in: of the arms whose own runs or the reference's failed, the evidence with the other's
            predictions in their place. A verdict is never stronger than what that gives.
    """
    counted, replaced = _adjusted(tested, family), _adjusted({**tested, **put_in}, family)
    rows = []
    for arm, e in counted.items():
        other = replaced[arm]
        decided = weaker(verdict(e), verdict(other))
        if decided == "supported" and e.difference * other.difference < 0:
            decided = "not supported"
        seeds, repeats = more_runs(e if decided == verdict(e) else other)
        lower, same, higher = equivalence(e.corrected, primary.margin)
        worse, better = (lower, higher) if primary.higher_is_better else (higher, lower)
        row = {
            "arm": arm, "metric": primary.name, "difference": e.difference, "p_bootstrap": e.p_bootstrap,
            "p_nadeau_bengio": e.corrected.p, "test_folds": e.corrected.degrees + 1,
            "fold_mean": e.corrected.mean, "fold_se": e.corrected.scale, "p": e.p, "p_holm": e.p_holm,
            "family": family, "verdict": decided, "more_seeds": seeds, "more_repeats": repeats,
            "rope_worse": worse, "rope_equivalent": same, "rope_better": better,
        }  # fmt: skip
        if put_in:
            row |= {"difference_put_in": other.difference, "p_put_in": other.p, "p_holm_put_in": other.p_holm}
            row |= {"verdict_counted": verdict(e), "verdict_put_in": verdict(other)}
        rows.append(row)
    return pd.DataFrame(rows)


def _adjusted(tested: dict[str, Evidence], family: int) -> dict[str, Evidence]:
    """Return the evidence with its p values adjusted by Holm."""
    p = holm(np.array([e.p for e in tested.values()]), family)
    return {arm: replace(e, p_holm=float(p_arm)) for (arm, e), p_arm in zip(tested.items(), p, strict=True)}
