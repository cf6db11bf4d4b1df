"""How well a measurement retests: intraclass correlation, standard error, minimal detectable change.

Values come in groups of retests (the clips of one visit, two visits within a day). The model is the one-way
random-effects analysis of variance, ``y_ij = m + g_i + e_ij``, absolute agreement of single measurements:
ICC(1,1) of Shrout and Fleiss (1979, Psychological Bulletin 86), ICC(1) of McGraw and Wong (1996,
Psychological Methods 1). Groups may have any sizes; ``n0`` is the size that makes the between-groups
estimate unbiased (Searle, Casella and McCulloch 1992, ch. 3.6)::

    MSB = sum_i n_i (m_i - m)^2 / (a - 1)     MSW = sum_ij (y_ij - m_i)^2 / (N - a)
    n0 = (N - sum_i n_i^2 / N) / (a - 1)      between = (MSB - MSW) / n0      within = MSW
    ICC = between / (between + within)        SEM = sqrt(within)     MDC = 1.96 sqrt(2) SEM

For vectors squares are squared Euclidean lengths, and the ICC is that of the traces: I2C2 of Shou et al.
(2013, Cognitive, Affective and Behavioral Neuroscience 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.bootstrap import interval, resampled
from analysis.statistics.metrics import Array

FEWEST_PATIENTS = 5
"""Patients with retests below which nothing is estimated: an interval over so few says nothing."""
MDC_FACTOR = 1.96 * np.sqrt(2)
"""Minimal detectable change in standard errors of measurement: a difference of two measurements without any
true change exceeds it in 5 % (de Vet et al. 2006, Health and Quality of Life Outcomes 4)."""


@dataclass(frozen=True)
class GroupSums:
    """What an analysis of variance needs, summed per patient, so that patients can be drawn again."""

    counts: Array
    """Per patient: groups, values, squared group sizes, size-weighted squared lengths of the group means,
    squares within groups; shape (patients, 5)."""
    totals: Array
    """Sum of the values per patient, centred on the mean of all, shape (patients, dimensions)."""

    @property
    def retested_patients(self) -> int:
        """How many patients have a group with two values or more."""
        return int((self.counts[:, 1] > self.counts[:, 0]).sum())

    @property
    def retests(self) -> float:
        """Degrees of freedom within groups: values less groups."""
        return float((self.counts[:, 1] - self.counts[:, 0]).sum())


def group_sums(
    values: Array, group: NDArray[np.int64], patient: NDArray[np.int64], patients: int
) -> GroupSums:
    """Sum per patient what the analysis of variance needs.

    Args:
        values: shape (N,) or (N, dimensions).
        group: the group of each value, from 0 without gaps, shape (N,); a group is of one patient.
        patient: the patient of each value, below ``patients``, shape (N,).
        patients: how many patients are drawn from, those without values included.
    """
    values = values.reshape(len(values), -1) - values.reshape(len(values), -1).mean(0)
    size = np.bincount(group).astype(np.float64)
    means = np.zeros((len(size), values.shape[1]))
    np.add.at(means, group, values)
    means /= size[:, None]
    owner = np.zeros(len(size), dtype=np.int64)
    owner[group] = patient
    within = ((values - means[group]) ** 2).sum(1)
    columns = [np.ones_like(size), size, size**2, size * (means**2).sum(1)]
    counts = [np.bincount(owner, column, minlength=patients) for column in columns]
    totals = np.zeros((patients, values.shape[1]))
    np.add.at(totals, patient, values)
    return GroupSums(np.stack([*counts, np.bincount(patient, within, minlength=patients)], axis=1), totals)


def components(sums: GroupSums, weights: Array) -> tuple[Array, Array]:
    """Estimate the variance between and within groups, in every draw of patients.

    Args:
        sums: as ``group_sums`` gives them.
        weights: how often each patient is drawn, shape (draws, patients).

    Returns:
        The variance between groups (negative where chance makes it so) and within, each of shape (draws,);
        NaN where a draw has no retest or fewer than two groups.
    """
    own = sums.counts[:, 1] > 0  # a run tests a part of the patients
    weights, counts, totals = weights[:, own], sums.counts[own], sums.totals[own]
    groups, n, squares, means, within = np.moveaxis(resampled(weights, counts), -1, 0)
    if totals.shape[1] < len(totals):
        length = (resampled(weights, totals) ** 2).sum(1)  # of the sum of all values, squared
    else:
        length = (resampled(weights, totals @ totals.T) * weights).sum(1)
    known = (n > groups) & (groups > 1)
    n, groups = np.where(known, n, np.nan), np.where(known, groups, np.nan)
    error = within / (n - groups)
    between = (means - length / n) / (groups - 1)
    typical = (n - squares / n) / (groups - 1)
    return (between - error) / typical, error


@dataclass(frozen=True, kw_only=True)
class Repeatability:
    """How well a measurement repeats, each with its 95 % patient-bootstrap interval (value, low, high)."""

    icc: tuple[float, float, float]
    sem: tuple[float, float, float]
    """Standard error of measurement, in the unit of the values."""
    mdc: tuple[float, float, float]
    """Minimal detectable change, in the unit of the values."""


def repeatability(runs: list[GroupSums], weights: Array) -> Repeatability:
    """Estimate ICC, SEM and MDC from one or several runs.

    Values of different runs (encoders) are never compared: each run has its own analysis of variance, the
    components are averaged over runs, weighted by the run's retests, and the ICC is made of the averages. A
    variance between groups below zero counts as zero.

    Args:
        runs: the sums of each run, with at least one retest.
        weights: how often each patient is drawn, shape (draws, patients), the same for all runs.
    """
    size = np.array([run.retests for run in runs])
    whole = np.ones((1, weights.shape[1]), dtype=np.float32)
    drawn = np.concatenate([np.stack([components(run, w) for run in runs]) for w in (whole, weights)], axis=2)
    known = np.isfinite(drawn) * size[:, None, None]
    share = known / np.where(known.sum(0) > 0, known.sum(0), np.nan)
    between, within = np.where(known > 0, drawn * share, 0).sum(0) + 0 * share.sum(0)
    between = np.where(between < 0, 0, between)  # keeps NaN
    total = between + within
    icc = between / np.where(total > 0, total, np.nan)
    sem = np.sqrt(within)
    return Repeatability(icc=_summary(icc), sem=_summary(sem), mdc=_summary(MDC_FACTOR * sem))


def _summary(values: Array) -> tuple[float, float, float]:
    """The observed value, which stands first, and the interval of the draws behind it."""
    return float(values[0]), *interval(values[1:])
