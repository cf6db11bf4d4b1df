"""Simulated studies with a known truth: how often the rule is wrong, and how often it finds an effect.

Every study goes through the same code as a real one, from ledger to verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from analysis.results.parquet_tables import PROBABILITIES
from analysis.statistics.compare import other_tests, per_fold_contrast, tests_against
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.corrected_t import nadeau_bengio
from analysis.statistics.metrics import METRICS, Array, ReportMetric
from analysis.statistics.simulated_levels import Levels
from analysis.statistics.verdict import ALPHA

Integers = NDArray[np.signedinteger[Any]]

REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True)
class Design:
    """The size of a simulated study."""

    patients: int = 189
    folds: int = 5
    repeats: int = 1
    seeds: int = 3
    pairs: tuple[int, ...] = ()
    """Pairs of each patient; drawn where not given."""
    classes: tuple[float, float, float] = (0.3, 0.4, 0.3)
    """Shares of worse, same and better."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Standard deviations on the scale of a class's logit; what differs between arms is zero on average.

    ``benchmarks/calibration.py`` prints what single tests make of the defaults.
    """

    patient: float = 1.0
    """Difficulty of a patient, the same for all arms."""
    pair: float = 0.8
    """Difficulty of a pair, the same for all arms."""
    arm_patient: float = 0.6
    """How an arm reads a patient, the same in all its runs."""
    arm_pair: float = 0.6
    """How an arm reads a pair, the same in all its runs."""
    partition: float = 0.05
    """Skill of an arm trained on one training set, the same for its seeds."""
    run: float = 0.12
    """Skill of one run: training noise."""
    run_bias: float = 0.15
    """Leaning of one run towards a class."""
    run_pair: float = 0.5
    """How one run reads one pair."""
    study: float = 0.0
    """Skill of an arm in the whole study: the luck of a choice that all its runs share."""
    collapse: float = 0.0
    """Share of the runs that say *same* to every pair."""
    failed: float = 0.0
    """Share of the runs that fail, so that the majority class stands for them."""


DEFAULT_NOISE = Noise()
HEAVY_NOISE = Noise(arm_patient=0.35, arm_pair=0.35, partition=0.15, run=0.35, run_bias=0.25)
"""Training noise so large that the patient bootstrap alone is wrong one time in four."""


@dataclass(frozen=True)
class Arms:
    """The arms of a simulated study beside the reference, and how the reference differs from them."""

    effects: tuple[float, ...] = (0.0,)
    """One per arm, added to the logit of the true class."""
    noise: Noise = DEFAULT_NOISE
    reference_noise: Noise | None = None
    """The noise of the reference, where it differs from that of the arms."""
    reference_effect: float = 0.0

    def __iter__(self) -> Iterator[tuple[str, float, Noise]]:
        """Name, effect and noise of the reference and every arm."""
        yield REFERENCE, self.reference_effect, self.reference_noise or self.noise
        for number, effect in enumerate(self.effects, start=1):
            yield f"arm{number}", effect, self.noise

    @property
    def family(self) -> tuple[str, ...]:
        """Names of the arms that are tested."""
        return tuple(f"arm{number}" for number in range(1, len(self.effects) + 1))


NO_EFFECT = Arms()
"""One arm that does not differ from the reference."""


def simulated_ledger(
    rng: np.random.Generator,
    design: Design,
    arms: Arms,
    signal: float = 1.0,
    levels: Levels | None = None,
) -> pd.DataFrame:
    """Simulate the ledger of one study.

    Args:
        rng: source of all draws.
        design: the study's size; its number of arms is that of ``arms``.
        arms: what is compared.
        signal: logit of the true class in an arm without effect.
        levels: subgroups of the pairs, which the column ``level`` then holds.
    """
    per_patient = design.pairs or rng.choice([1, 2, 3], design.patients, p=[0.6, 0.25, 0.15])
    patient = np.repeat(np.arange(design.patients), per_patient)
    n = len(patient)
    y = rng.choice(3, n, p=design.classes)
    level = levels.drawn(rng, patient) if levels else np.zeros(n, dtype=np.int64)
    noise = arms.noise
    shared = noise.patient * rng.normal(size=(design.patients, 3))[patient]
    shared += noise.pair * rng.normal(size=(n, 3))
    folds = [
        rng.permutation(np.arange(design.patients) % design.folds)[patient] for _ in range(design.repeats)
    ]
    frames = []
    for name, effect, noise in arms:
        reading = noise.arm_patient * rng.normal(size=(design.patients, 3))[patient]
        reading += noise.arm_pair * rng.normal(size=(n, 3))
        skill = signal + effect + noise.study * rng.normal()
        for repeat, fold in enumerate(folds):
            trained = skill + noise.partition * rng.normal(size=design.folds)
            for seed in range(design.seeds):
                seen = shared + reading
                if levels:
                    seen[np.arange(n), y] += levels.skill(rng, fold, level, is_reference=name == REFERENCE)
                logits = _logits(rng, trained, fold, y, seen, noise)
                failed = (
                    (rng.random(design.folds) < noise.failed)[fold] if noise.failed else np.zeros(n, bool)
                )
                rows = _rows(name, repeat, fold, seed, patient, y, np.where(failed[:, None], SAME, logits))
                frames.append(rows.assign(imputed=failed, **({"level": level} if levels else {})))
    return pd.concat(frames, ignore_index=True)


SAME = np.log([0.01, 0.98, 0.01])
"""Logits of a run that says *same*, or of the majority class that stands for one which failed."""


def _logits(
    rng: np.random.Generator, skill: Array, fold: Integers, y: Integers, reading: Array, noise: Noise
) -> Array:
    """The logits (pairs, 3) that one seed's runs predict: one run for each fold, of this skill."""
    folds, n = len(skill), len(y)
    logits = reading + noise.run_bias * rng.normal(size=(folds, 3))[fold]
    logits += noise.run_pair * rng.normal(size=(n, 3))
    logits[np.arange(n), y] += (skill + noise.run * rng.normal(size=folds))[fold]
    collapsed = (rng.random(folds) < noise.collapse)[fold]
    return np.where(collapsed[:, None], SAME, logits)


def _rows(
    arm: str, repeat: int, fold: Integers, seed: int, patient: Integers, y: Integers, logits: Array
) -> pd.DataFrame:
    columns = {"arm": arm, "repeat": repeat, "fold": fold, "seed": seed, "patient": patient}
    probabilities = dict(zip(PROBABILITIES, special.softmax(logits, axis=1).T, strict=True))
    return pd.DataFrame({**columns, "y_true": y, "y_pred": logits.argmax(1), **probabilities})


def population_value(
    noise: Noise,
    effect: float = 0.0,
    *,
    classes: tuple[float, float, float] = (0.3, 0.4, 0.3),
    metric: ReportMetric = METRICS["macro_f1"],
    pairs: int = 400_000,
    signal: float = 1.0,
) -> float:
    """Compute an arm's metric in a large population, every pair predicted by a run of its own.

    Args:
        noise: of the arm.
        effect: added to the logit of the true class.
        classes: shares of worse, same and better.
        metric: any.
        pairs: how many to draw, always the same ones.
        signal: logit of the true class in an arm without effect.
    """
    rng = np.random.default_rng(0)
    y = rng.choice(3, pairs, p=classes)
    of_class = (noise.patient, noise.pair, noise.arm_patient, noise.arm_pair, noise.run_bias, noise.run_pair)
    of_true = (noise.study, noise.partition, noise.run)
    logits = np.linalg.norm(of_class) * rng.normal(size=(pairs, 3))
    logits[np.arange(pairs), y] += signal + effect + np.linalg.norm(of_true) * rng.normal(size=pairs)
    predicted = np.where(rng.random(pairs) < noise.collapse, 1, logits.argmax(1))
    counts = np.bincount(y * 3 + predicted, minlength=9).reshape(3, 3).astype(np.float64)
    return float(metric.compute(counts))


def effect_for(
    difference: float,
    noise: Noise,
    reference: Noise | None = None,
    *,
    classes: tuple[float, float, float] = (0.3, 0.4, 0.3),
) -> float:
    """Find the effect at which an arm's macro-F1 exceeds a reference's by a difference, in the population.

    Args:
        difference: wanted; 0 makes arms of different noise equally good.
        noise: of the arm.
        reference: noise of the reference, which has no effect; as the arm's where not given.
        classes: shares of worse, same and better.
    """
    wanted = population_value(reference or noise, classes=classes) + difference
    return float(
        optimize.brentq(lambda e: population_value(noise, e, classes=classes) - wanted, -3, 6, xtol=1e-3)
    )


def simulated_tests(
    design: Design,
    studies: int,
    arms: Arms = NO_EFFECT,
    *,
    seed: int = 0,
    draws: int = 0,
    metric: ReportMetric = METRICS["macro_f1"],
) -> pd.DataFrame:
    """Simulate many studies with known effects and test each like a real one.

    Args:
        design: the size of every study.
        studies: how many to simulate.
        arms: what is compared.
        seed: of the simulation.
        draws: of the patient bootstrap, shown beside the rule; 0 leaves it and the other tests out.
        metric: the primary one.

    Returns:
        ``tests_against`` of all studies with the study's number, the interval (``low``, ``high``) and, with
        draws, the p of the other tests.
    """
    found = []
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(studies)):
        ledger = simulated_ledger(np.random.default_rng(child), design, arms)
        confusions = confusion_counts(ledger, (REFERENCE, *arms.family))
        tests = tests_against(confusions, reference=REFERENCE, family=arms.family, primary=metric)
        if draws:
            others = other_tests(
                confusions, reference=REFERENCE, arms=arms.family, primary=metric, draws=draws
            )
            tests = tests.merge(others.assign(p_naive=_naive_p(confusions, arms.family, metric)), on="arm")
        found.append(tests.assign(simulated=number))
    return pd.concat(found, ignore_index=True)


def _naive_p(confusions: ConfusionCounts, family: tuple[str, ...], metric: ReportMetric) -> list[float]:
    """The paired t that takes folds and seeds for independent, one p per arm."""
    contrasts = [per_fold_contrast(confusions, {arm: 1.0, REFERENCE: -1.0}, metric) for arm in family]
    return [nadeau_bengio(per_fold.ravel(), 1e-12).p for per_fold in contrasts]


def share(hits: Sequence[bool]) -> tuple[float, float, float]:
    """Compute a rate with its 95 % interval (Wilson 1927): rate, low, high."""
    test = stats.binomtest(int(np.sum(hits)), len(hits)).proportion_ci(0.95, "wilson")
    return float(np.mean(hits)), float(test.low), float(test.high)


def rates(tests: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Compute per test the share of studies with at least one positive, and its interval.

    Under the null that is the family-wise error; with one arm and an effect, the power.
    """
    named = {
        "naive paired t": "p_naive",
        "patient bootstrap": "p_bootstrap",
        "Nadeau-Bengio": "p_nadeau_bengio",
        "rule before Holm": "p",
    }
    positive = pd.DataFrame({name: tests[p] <= ALPHA for name, p in named.items() if p in tests})
    positive["supported"] = tests["verdict"] == "supported"
    by_study = positive.groupby(tests["simulated"]).any()
    return {str(name): share(list(by_study[name])) for name in positive}


def coverage(tests: pd.DataFrame, truth: float = 0.0) -> tuple[float, float, float]:
    """Compute how often the intervals hold the true difference, and the interval of that share."""
    return share(list((tests["low"] <= truth) & (truth <= tests["high"])))
