"""One statistic for p, interval and verdict: an estimate whose standard error knows patients and training.

A metric of out-of-fold predictions varies for two reasons. Other patients would have been tested; and the
same method trained once more, from another seed or on another part of the cohort, would have been another
encoder. The variance is therefore the sum of two parts.

- *Patients*: the delete-one-patient jackknife of the predictions averaged over all rounds (Efron and Stein
  1981, Annals of Statistics 9), which keeps all pairs of a patient together.
- *Training*: each final run moves the metric as a whole. By how much is read from the influence of its test
  pairs (the metric's gradient in the confusion counts). Differences between the seeds of one fold measure the
  noise of training; differences between repeats of the partition measure that and the effect of other
  training patients. With one repeat the latter shows only in differences between folds, which hold other
  patients as well: the training part is then what the spread between folds has beyond the patients' part, and
  at least the noise between seeds.

The sum gives a t statistic with Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2). The target
is the value for new patients of the same population and encoders trained like these on parts of this cohort.
With another cohort to train on it would vary more, and no cross-validation can see by how much (Bengio and
Grandvalet 2004, JMLR 5). ``benchmarks/calibration.py`` measures coverage and error by simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from analysis.statistics.bootstrap import LEVEL
from analysis.statistics.confusion_counts import ConfusionCounts
from analysis.statistics.influence import influence
from analysis.statistics.metrics import Array, ReportMetric


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its variance by source, in squared units of the metric."""

    value: float
    patients: float
    """Variance because other patients could have been tested."""
    patients_degrees: float
    """How many patients that rests on, fewer where some weigh more than others."""
    seeds: float = 0.0
    """Variance because each run has one seed; 0 where no fold has two and it cannot be seen."""
    seeds_degrees: int = 0
    seeds_by_pair: float = 0.0
    """The part of ``patients`` that further seeds or repeats would average out."""
    training: float = float("nan")
    """Variance because of seed and training patients together, as folds or repeats show it: less than
    ``seeds``, or negative, by chance; NaN where there is one fold and one repeat."""
    training_degrees: int = 0
    one_repeat: bool = True
    """Whether ``training`` is what folds of one repeat differ by, beyond ``patients``."""
    family_inflation: float = 0.0
    """The least factor by which the variance exceeds ``without_partition``, as its family shows."""
    family_degrees: float = 0.0

    @property
    def _of_seeds(self) -> tuple[float, int]:
        """Variance and degrees of freedom of training, as seeds alone show it.

        Without a second seed nothing but a few folds shows it, which may hide some by chance, the more so the
        fewer they are: a share of the patients' part is put in its place. How large was found by simulation.
        """
        if not self.seeds_degrees and self.one_repeat and self.training_degrees:
            return self.patients / self.training_degrees, self.training_degrees
        return self.seeds, self.seeds_degrees

    @property
    def without_partition(self) -> float:
        """The variance if it did not matter which patients an encoder is trained on."""
        return self.patients + self._of_seeds[0]

    @property
    def inflation(self) -> float:
        """The factor by which folds or repeats show more variance than ``without_partition``; NaN without."""
        return (self.patients + self.training) / self.without_partition if self.patients else float("nan")

    @property
    def _by_source(self) -> tuple[tuple[float, float], ...]:
        """Variance and degrees of freedom as the seeds, as folds or repeats, and as the family show them."""
        of_training = float(np.nan_to_num(self.training, nan=-np.inf))
        return (
            (self.without_partition, self._satterthwaite(*self._of_seeds)),
            (self.patients + of_training, self._total(of_training, self.training_degrees)),
            (
                self.family_inflation * self.without_partition,
                self._total(
                    self.family_inflation * self.without_partition - self.patients, self.family_degrees
                ),
            ),
        )

    def _total(self, training: float, degrees: float) -> float:
        """Folds of one repeat show the whole variance at once; several repeats the training part alone."""
        return degrees if self.one_repeat else self._satterthwaite(training, degrees)

    def _satterthwaite(self, training: float, degrees: float) -> float:
        whole = self.patients + training
        if training <= 0 or whole <= 0:
            return self.patients_degrees
        share = training / whole
        return 1 / ((1 - share) ** 2 / self.patients_degrees + share**2 / max(degrees, 1))

    @property
    def variance(self) -> float:
        """The largest of what the seeds, the folds or repeats, and the family show."""
        return max(self._by_source)[0] if np.isfinite(self.patients) else float("nan")

    @property
    def degrees(self) -> float:
        """Satterthwaite's degrees of freedom of the variance."""
        return max(self._by_source)[1]

    @property
    def scale(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.variance))

    @property
    def mean(self) -> float:
        """The value, under the name that a t distribution gives it."""
        return self.value

    @property
    def p(self) -> float:
        """Two-sided p of no difference."""
        if not np.isfinite(self.value + self.variance):
            return float("nan")
        if self.variance == 0:
            return float(self.value == 0)
        return float(2 * stdtr(self.degrees, -abs(self.value) / self.scale))

    def one_sided(self, bound: float) -> tuple[float, float]:
        """Test the value against a bound from both sides.

        Returns:
            p of "it is ``bound`` or less" and p of "it is ``bound`` or more".
        """
        away = bound - self.value
        if not np.isfinite(away + self.variance):
            return float("nan"), float("nan")
        if self.variance == 0:
            return float(away >= 0), float(away <= 0)
        t = away / self.scale
        return float(stdtr(self.degrees, t)), float(stdtr(self.degrees, -t))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Compute the interval that excludes zero exactly where ``p`` is below 1 - level."""
        half = float(stdtrit(self.degrees, (1 + level) / 2)) * self.scale
        return self.value - half, self.value + half


SHARED = 0.25
"""Correlation of two comparisons' estimated variances, since both are differences with one reference."""


def with_family_noise(family: Sequence[Estimate]) -> list[Estimate]:
    """Raise the variance of each comparison to what its family shows on average.

    Few folds estimate the training part badly: by chance a comparison looks far more certain than it is, and
    among many arms there is one. The arms of a family are trained alike, so the mean inflation of all is a
    lower limit for each. An arm that is noisier than the others keeps its own variance.

    Args:
        family: the comparisons of the arms with one reference, on one metric.
    """
    known = [e for e in family if np.isfinite(e.inflation) and e.training_degrees]
    if len(known) < 2:
        return list(family)
    inflation = float(np.mean([e.inflation for e in known]))
    gain = len(known) / (1 + (len(known) - 1) * SHARED)
    return [
        replace(e, family_inflation=inflation, family_degrees=e.training_degrees * gain)
        if np.isfinite(e.inflation)
        else e
        for e in family
    ]


def estimate(
    confusions: ConfusionCounts, coefficients: Mapping[str, float], metric: ReportMetric
) -> Estimate:
    """Estimate a linear contrast of a metric between arms, or one arm's own value.

    Args:
        confusions: the counts of at least these arms.
        coefficients: by arm; ``{arm: 1}`` is its value, ``{arm: 1, reference: -1}`` a difference.
        metric: any metric of confusion counts.
    """
    found = influence(confusions, coefficients, metric)
    return estimated(
        found.value, found.by_round, confusions.fold, confusions.repeats, left_out=found.left_out
    )


def estimated(
    value: float,
    by_round: Array,
    fold: NDArray[np.int64],
    repeats: NDArray[np.int64],
    *,
    left_out: Array | None = None,
) -> Estimate:
    """Estimate the variance of a statistic from the influence of every patient in every round.

    Args:
        value: the statistic.
        by_round: the influence, shape (rounds, patients): by how much the statistic differs because of this
            patient's pairs as predicted in this round, the round taken for all; NaN where not tested. Its
            mean over rounds, summed over patients, is zero.
        fold: the fold that tests each patient in each round, shape (rounds, patients).
        repeats: the repeat of each round, shape (rounds,).
        left_out: the statistic without each patient in turn, shape (patients,); by the influence where not
            given.
    """
    known = np.isfinite(by_round)
    seen = known.any(0)
    if not seen.any():
        return Estimate(value=value, patients=float("nan"), patients_degrees=1.0)
    by_round, fold, known = by_round[:, seen], fold[:, seen], known[:, seen]
    mean = _mean(by_round, known)
    n = len(mean)
    left_out = -mean * n / max(n - 1, 1) if left_out is None else left_out[seen]
    patients = float(((left_out - left_out.mean()) ** 2).sum()) * (n - 1) / n
    fourth = float((mean**4).sum())
    # For n normal influences of equal size: n. One patient that outweighs all others leaves two.
    effective = 3 * float((mean**2).sum()) ** 2 / fourth if fourth > 0 else float(n)
    numbers = np.unique(repeats)
    by_repeat = [_of_repeat(by_round[repeats == r], known[repeats == r], fold[repeats == r]) for r in numbers]
    count = len(numbers)
    seeds_degrees = sum(part.seeds_degrees for part in by_repeat)
    seeds = seeds_by_pair = 0.0
    if seeds_degrees:
        seeds = max(sum(part.seeds for part in by_repeat), 0.0) / count**2
        seeds_by_pair = min(sum(part.seeds_by_pair for part in by_repeat) / count**2, patients)
    training, degrees = float("nan"), 0
    if count > 1:
        training, degrees = _between_repeats(by_repeat, mean)
    elif len(by_repeat[0].sums) > 1:
        sums = by_repeat[0].sums
        degrees = len(sums) - 1
        training = float(((sums - sums.mean()) ** 2).sum()) * len(sums) / degrees - patients
    return Estimate(
        value=value,
        patients=patients,
        patients_degrees=max(effective - 1, 1.0),
        seeds=seeds,
        seeds_degrees=seeds_degrees,
        seeds_by_pair=seeds_by_pair,
        training=training,
        training_degrees=degrees,
        one_repeat=count == 1,
    )


def _mean(values: Array, known: NDArray[np.bool_]) -> Array:
    """Average over rounds what is known, shape (patients,); 0 where nothing is."""
    total: Array = np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1)
    return total


@dataclass(frozen=True)
class _Repeat:
    """What one repeat of the partition shows."""

    influence: Array
    """Mean over seeds, shape (patients,)."""
    known: NDArray[np.bool_]
    folds: list[NDArray[np.bool_]]
    """The patients of each fold."""
    sums: Array
    """Summed influence of each fold, shape (folds,)."""
    seeds: float
    """Variance of the repeat's value because of its seeds, without the part that patients carry already."""
    seeds_by_pair: float
    """That part: the variance because of what seeds do to single pairs."""
    seeds_degrees: int


def _of_repeat(influence: Array, known: NDArray[np.bool_], fold: NDArray[np.int64]) -> _Repeat:
    mean, tested = _mean(influence, known), np.asarray(known.any(0))
    of_patient = fold[known.argmax(0), np.arange(fold.shape[1])]
    folds = [tested & (of_patient == number) for number in np.unique(of_patient[tested])]
    seeds, by_pair, degrees = 0.0, 0.0, 0
    for members in folds:
        there = known[:, members].all(1)
        runs = influence[there][:, members]
        if len(runs) > 1:
            # What a seed does to single pairs is in the patients' part; the rest moves the run as a whole.
            single = float(runs.var(0, ddof=1).sum())
            seeds += (float(runs.sum(1).var(ddof=1)) - single) / len(runs)
            by_pair += single / len(runs)
            degrees += len(runs) - 1
    sums = np.array([mean[members].sum() for members in folds])
    return _Repeat(mean, tested, folds, sums, seeds, by_pair, degrees)


def _between_repeats(by_repeat: Sequence[_Repeat], mean: Array) -> tuple[float, int]:
    """Estimate the training part from how each fold differs from the same patients' other repeats."""
    count = len(by_repeat)
    folds = sum(len(part.folds) for part in by_repeat)
    whole = single = 0.0
    for part in by_repeat:
        deviation = np.where(part.known, part.influence - mean, 0)
        whole += sum(float(deviation[members].sum()) ** 2 for members in part.folds)
        single += float((deviation**2).sum())
    # A fold's own effect less its share in the mean, and the other repeats' effects spread over its patients.
    share = (1 - 1 / count) ** 2 + (count - 1) / (count * folds)
    return (whole - single) / (count**2 * share), folds * (count - 1) // count
