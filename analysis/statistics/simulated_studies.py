"""Simulated studies with a known truth: how often the rule is wrong, and how often it finds an effect.

Every study goes through the same code as a real one, from ledger to verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.compare import compare_counts
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.corrected_t import nadeau_bengio
from analysis.statistics.metrics import METRICS, Array, ReportMetric
from analysis.statistics.verdict import ALPHA, MOST_ROUNDS

Integers = NDArray[np.signedinteger[Any]]

REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True)
class Design:
    """The size of a simulated study."""

    patients: int = 189
    folds: int = 5
    repeats: int = 1
    seeds: int = 3
    arms: int = 1
    """Arms compared with the reference."""
    pairs: tuple[int, ...] = ()
    """Pairs of each patient; drawn where not given."""
    classes: tuple[float, float, float] = (0.3, 0.4, 0.3)
    """Shares of worse, same and better."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Standard deviations on the scale of a class's logit; what differs between arms is zero on average.

    With the defaults the single tests behave as they did in the simulation that the rule comes from
    (``benchmarks/calibration.py`` prints them side by side).
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


DEFAULT_NOISE = Noise()
HEAVY_NOISE = Noise(arm_patient=0.35, arm_pair=0.35, partition=0.15, run=0.35, run_bias=0.25)
"""Training noise so large that the patient bootstrap alone is wrong one time in four."""


def simulated_ledger(
    rng: np.random.Generator,
    design: Design,
    effects: Sequence[float],
    noise: Noise = DEFAULT_NOISE,
    signal: float = 1.0,
) -> pd.DataFrame:
    """Simulate the ledger of one study: the reference and one arm per effect.

    Args:
        rng: source of all draws.
        design: the study's size.
        effects: one per arm, added to the logit of the true class.
        noise: how runs, arms and patients differ by chance.
        signal: logit of the true class in the reference.
    """
    per_patient = design.pairs or rng.choice([1, 2, 3], design.patients, p=[0.6, 0.25, 0.15])
    patient = np.repeat(np.arange(design.patients), per_patient)
    n = len(patient)
    y = rng.choice(3, n, p=design.classes)
    shared = noise.patient * rng.normal(size=(design.patients, 3))[patient] + noise.pair * rng.normal(
        size=(n, 3)
    )
    folds = [
        rng.permutation(np.arange(design.patients) % design.folds)[patient] for _ in range(design.repeats)
    ]
    frames = []
    for number, effect in enumerate((0.0, *effects)):
        reading = noise.arm_patient * rng.normal(size=(design.patients, 3))[patient]
        reading += noise.arm_pair * rng.normal(size=(n, 3))
        for repeat, fold in enumerate(folds):
            trained = noise.partition * rng.normal(size=design.folds)
            for seed in range(design.seeds):
                skill = signal + effect + (trained + noise.run * rng.normal(size=design.folds))[fold]
                logits = shared + reading + noise.run_bias * rng.normal(size=(design.folds, 3))[fold]
                logits = logits + noise.run_pair * rng.normal(size=(n, 3))
                logits[np.arange(n), y] += skill
                name = f"arm{number}" if number else REFERENCE
                frames.append(_rows(name, repeat, fold, seed, patient, y, logits.argmax(1)))
    return pd.concat(frames, ignore_index=True)


def _rows(
    arm: str, repeat: int, fold: Integers, seed: int, patient: Integers, y: Integers, predicted: Integers
) -> pd.DataFrame:
    columns = {"arm": arm, "repeat": repeat, "fold": fold, "seed": seed, "patient": patient}
    return pd.DataFrame({**columns, "y_true": y, "y_pred": predicted})


def simulated_tests(
    design: Design,
    studies: int,
    effect: float | Sequence[float] = 0.0,
    *,
    primary: ReportMetric = METRICS["macro_f1"],
    draws: int = 2000,
    seed: int = 0,
    noise: Noise = DEFAULT_NOISE,
    follow: bool = False,
) -> pd.DataFrame:
    """Simulate many studies with known effects and test each like a real one.

    Args:
        design: the size of every study.
        studies: how many to simulate.
        effect: of every arm, or one per arm.
        primary: the metric that is tested.
        follow: add the seeds that an *undecided* verdict asks for and decide once more.

    Returns:
        ``Comparison.tests`` of all studies, with the study's number and the p of the naive paired t.
    """
    family = tuple(f"arm{i + 1}" for i in range(design.arms))
    effects = [effect] * design.arms if isinstance(effect, float) else effect
    simulated = replace(design, seeds=MOST_ROUNDS) if follow else design
    found = []
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(studies)):
        ledger = simulated_ledger(np.random.default_rng(child), simulated, effects, noise)
        tests = _tested(ledger[ledger["seed"] < design.seeds], family, draws, primary)
        more = int(tests["more_seeds"].max())
        if follow and more:
            tests = _tested(ledger[ledger["seed"] < design.seeds + more], family, draws, primary)
        found.append(tests.assign(simulated=number))
    return pd.concat(found, ignore_index=True)


def _tested(ledger: pd.DataFrame, family: tuple[str, ...], draws: int, primary: ReportMetric) -> pd.DataFrame:
    confusions = confusion_counts(ledger, (REFERENCE, *family))
    tests = compare_counts(confusions, reference=REFERENCE, family=family, primary=primary, draws=draws).tests
    scores = primary.compute(confusions.by_fold)
    return tests.assign(p_naive=[_naive_p((score - scores[0]).ravel()) for score in scores[1:]])


def _naive_p(differences: Array) -> float:
    """The paired t that takes folds and seeds for independent."""
    return nadeau_bengio(differences, 1e-12).p


def share(hits: Sequence[bool]) -> tuple[float, float, float]:
    """Compute a rate with its exact 95 % interval (Clopper and Pearson 1934): rate, low, high."""
    test = stats.binomtest(int(np.sum(hits)), len(hits)).proportion_ci(0.95, "exact")
    return float(np.mean(hits)), float(test.low), float(test.high)


def rates(tests: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Compute per test the share of studies with at least one positive, and its interval.

    Under the null that is the family-wise error; with one arm and an effect, the power.
    """
    positive = pd.DataFrame(
        {
            "naive paired t": tests["p_naive"] <= ALPHA,
            "patient bootstrap": tests["p_bootstrap"] <= ALPHA,
            "Nadeau-Bengio": tests["p_nadeau_bengio"] <= ALPHA,
            "rule before Holm": tests["p"] <= ALPHA,
            "supported": tests["verdict"] == "supported",
        }
    )
    by_study = positive.groupby(tests["simulated"]).any()
    return {str(name): share(list(by_study[name])) for name in positive}
