"""How often intervals cover, how often each word is wrong, and how often an effect is found: by simulation.

    python benchmarks/calibration.py [--studies 2000] [--only coverage families power breaks subgroups]

Every simulated study goes through the code of a real one. Prints Markdown tables with Wilson intervals; about
an hour on one core for 2,000 studies per condition. A short version runs in
tests/analysis/statistics/test_simulated_studies.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.statistics.simulated_levels import Levels
from analysis.statistics.simulated_studies import (
    DEFAULT_NOISE,
    HEAVY_NOISE,
    Arms,
    Design,
    Noise,
    coverage,
    effect_for,
    population_value,
    rates,
    share,
    simulated_tests,
)
from analysis.statistics.simulated_subgroups import simulated_subgroups

UNSTABLE = replace(DEFAULT_NOISE, run=0.8, run_bias=0.6)
COLLAPSING = replace(DEFAULT_NOISE, collapse=0.2)
SHARED_BY_SEEDS = replace(DEFAULT_NOISE, partition=0.4, run=0.05)

FAILING = replace(DEFAULT_NOISE, failed=0.2)
OF_REFERENCE = Arms(reference_noise=FAILING)

WHOLE = Design()
ONE_SEED = Design(seeds=1)
LAPTOP = Design(patients=36, folds=3, seeds=1, pairs=(3,) * 36)
PAPER = Design(repeats=3)
RARE = Design(patients=40, pairs=(3,) * 40, classes=(0.1, 0.8, 0.1))
ONE_HOLDS_HALF = Design(patients=60, pairs=(89, *((1, 2) * 30)[:59]))


@dataclass(frozen=True)
class Condition:
    """One row of the table: equally good arms, or a planted difference."""

    name: str
    design: Design
    arms: Arms
    levels: Levels | None = None
    """Subgroups, where they are what is measured."""


def equal(noise: Noise = DEFAULT_NOISE, count: int = 1) -> Arms:
    """Arms that do not differ from the reference."""
    return Arms(effects=(0.0,) * count, noise=noise)


def equally_good(noise: Noise, reference: Noise, design: Design = WHOLE) -> Arms:
    """One arm of another noise than the reference, with the effect that makes it equally good."""
    if reference == COLLAPSING:
        effect = effect_for(0.0, COLLAPSING, DEFAULT_NOISE, classes=design.classes)
        return Arms(reference_noise=COLLAPSING, reference_effect=effect)
    return Arms((effect_for(0.0, noise, reference, classes=design.classes),), noise, reference)


def of_coverage() -> Iterator[Condition]:
    """The conditions of the review, those where an interval of the patient bootstrap alone failed."""
    unstable = equally_good(UNSTABLE, DEFAULT_NOISE)
    yield Condition("default, 3 seeds", WHOLE, equal())
    yield Condition("default, 1 seed", ONE_SEED, equal())
    yield Condition("laptop: 36 patients, 3 folds, 1 seed", LAPTOP, equal())
    yield Condition("laptop, heavy training noise", LAPTOP, equal(HEAVY_NOISE))
    yield Condition("heavy training noise, 3 seeds", WHOLE, equal(HEAVY_NOISE))
    yield Condition("heavy, 1 seed", ONE_SEED, equal(HEAVY_NOISE))
    yield Condition("unstable arm, steady reference, 3 seeds", WHOLE, unstable)
    yield Condition("unstable arm, steady reference, 1 seed", ONE_SEED, unstable)
    yield Condition(
        "reference that collapses in 20 % of runs", WHOLE, equally_good(DEFAULT_NOISE, COLLAPSING)
    )
    yield Condition("3 repeats x 3 seeds", PAPER, equal())
    yield Condition("3 repeats x 3 seeds, heavy", PAPER, equal(HEAVY_NOISE))
    yield Condition("10 seeds that share their noise", Design(seeds=10), equal(SHARED_BY_SEEDS))
    yield Condition("classes 10/80/10, 40 patients", RARE, equal())
    yield Condition("classes 10/80/10, 40 patients, heavy", RARE, equal(HEAVY_NOISE))
    yield Condition("one patient holds half of the pairs", ONE_HOLDS_HALF, equal())


def of_families() -> Iterator[Condition]:
    """Families of arms, none of which differs."""
    for count in (3, 18):
        yield Condition(f"{count} arms, default", WHOLE, equal(count=count))
        yield Condition(f"{count} arms, heavy", WHOLE, equal(HEAVY_NOISE, count))
    yield Condition("18 arms, heavy, 1 seed", ONE_SEED, equal(HEAVY_NOISE, 18))
    yield Condition("4 arms, laptop, heavy", LAPTOP, equal(HEAVY_NOISE, 4))
    yield Condition("9 arms, 3 repeats x 3 seeds, heavy", PAPER, equal(HEAVY_NOISE, 9))


def of_breaks() -> Iterator[Condition]:
    """Luck that all runs of an arm share, which no test of folds and seeds can see, and runs that fail."""
    for sd in (0.15, 0.30):
        lucky = equal(replace(DEFAULT_NOISE, study=sd))
        yield Condition(f"one choice common to all folds, SD {sd:.2f}", WHOLE, lucky)
    yield Condition("the same, SD 0.30, 3 repeats", PAPER, equal(replace(DEFAULT_NOISE, study=0.30)))
    for name, failing in (
        ("arm", Arms(noise=FAILING, reference_noise=DEFAULT_NOISE)),
        ("reference", OF_REFERENCE),
    ):
        yield Condition(f"20 % of the {name}'s final runs fail, and count", WHOLE, failing)


def of_power() -> Iterator[Condition]:
    """Planted differences of macro-F1."""
    for difference in (0.05, 0.10, 0.20):
        for name, design, noise, count in (
            ("default", WHOLE, DEFAULT_NOISE, 1),
            ("heavy", WHOLE, HEAVY_NOISE, 1),
            ("laptop", LAPTOP, DEFAULT_NOISE, 1),
            ("3 repeats x 3 seeds", PAPER, DEFAULT_NOISE, 1),
            ("3 repeats x 3 seeds, heavy", PAPER, HEAVY_NOISE, 1),
            ("18 arms, one better", WHOLE, DEFAULT_NOISE, 18),
        ):
            effects = (effect_for(difference, noise, classes=design.classes), *[0.0] * (count - 1))
            yield Condition(f"+{difference:.2f}, {name}", design, Arms(effects, noise))


HALVES = Levels()
OF_PAIRS = Levels(of_pairs=True)
FOUR_SITES = Levels(shares=(0.4, 0.3, 0.2, 0.1))
EIGHT_SITES = Levels(shares=(0.125,) * 8)


def of_subgroups() -> Iterator[Condition]:
    """Equal differences in all levels of a grouping, then some that are planted in one of two halves."""
    better = Arms((effect_for(0.10, DEFAULT_NOISE),))
    uneven_runs = replace(HALVES, run=0.5)
    yield Condition("two halves, default", WHOLE, equal(), HALVES)
    yield Condition("two halves, heavy", WHOLE, equal(HEAVY_NOISE), HALVES)
    yield Condition("two halves of pairs", WHOLE, equal(), OF_PAIRS)
    yield Condition("two halves of pairs, heavy", WHOLE, equal(HEAVY_NOISE), OF_PAIRS)
    yield Condition("halves, heavy, runs differ by level too", WHOLE, equal(HEAVY_NOISE), uneven_runs)
    yield Condition("the same, 1 seed", ONE_SEED, equal(HEAVY_NOISE), uneven_runs)
    yield Condition("levels of 90 and 10 %", WHOLE, equal(), Levels(shares=(0.9, 0.1)))
    yield Condition("four sites of 40, 30, 20 and 10 %", WHOLE, equal(), FOUR_SITES)
    yield Condition("four sites, heavy", WHOLE, equal(HEAVY_NOISE), FOUR_SITES)
    yield Condition("eight sites", WHOLE, equal(), EIGHT_SITES)
    yield Condition("halves, arm better by 0.10 in both", WHOLE, better, HALVES)
    yield Condition("halves, 3 arms, any", WHOLE, equal(count=3), HALVES)
    yield Condition("laptop, two halves", LAPTOP, equal(), HALVES)
    yield Condition("laptop, two halves of pairs", LAPTOP, equal(), OF_PAIRS)
    yield Condition("laptop, two halves, heavy", LAPTOP, equal(HEAVY_NOISE), HALVES)
    for difference in (0.10, 0.20):
        for name, design, noise in (
            ("default", WHOLE, DEFAULT_NOISE),
            ("heavy", WHOLE, HEAVY_NOISE),
            ("laptop", LAPTOP, DEFAULT_NOISE),
        ):
            planted = replace(HALVES, effects=(0.0, effect_for(difference, noise)))
            yield Condition(f"+{difference:.2f} in one half, {name}", design, equal(noise), planted)


def percent(rate: tuple[float, float, float]) -> str:
    """A rate with its interval."""
    return f"{100 * rate[0]:.1f} % [{100 * rate[1]:.1f}, {100 * rate[2]:.1f}]"


def of_null(condition: Condition, studies: int, seed: int) -> dict[str, str]:
    """Coverage, width and error where the true difference is 0."""
    tests = simulated_tests(condition.design, studies, condition.arms, seed=seed, draws=500)
    spread = tests["difference"].std()
    relative = (tests["high"] - tests["low"]) / (3.92 * spread)
    many = tests["degrees"] >= 10
    better = (tests["verdict"] == "supported") & (tests["difference"] > 0)
    cells = {
        "coverage": percent(coverage(tests)),
        "of the bootstrap": percent(share(list(tests["p_bootstrap"] > 0.05))),
        "width": f"{relative.mean():.2f}",
        "width, 10 degrees or more": f"{relative[many].mean():.2f} ({100 * many.mean():.0f} %)",
        "true SD": f"{spread:.3f}",
        "mean": f"{tests['difference'].mean():+.3f}",
    }
    cells |= {name: percent(rate) for name, rate in rates(tests).items()}
    return cells | {"supported to be better": percent(share(list(better.groupby(tests["simulated"]).any())))}


def of_effect(condition: Condition, studies: int, seed: int) -> dict[str, str]:
    """Power for the first arm, and how often another is called supported."""
    tests = simulated_tests(condition.design, studies, condition.arms, seed=seed)
    first = tests["arm"] == "arm1"
    found = (tests["verdict"] == "supported") & (tests["difference"] > 0)
    cells = {"mean difference": f"{tests.loc[first, 'difference'].mean():+.3f}"}
    return cells | {"supported": percent(share(list(found[first])))}


def of_levels(condition: Condition, studies: int, seed: int) -> dict[str, str]:
    """Error or power of the test of heterogeneity, by Holm over arms, and coverage within the levels."""
    levels, arms = condition.levels or HALVES, condition.arms
    rows, tests = simulated_subgroups(condition.design, studies, levels, arms, seed=seed)
    smallest = tests.groupby("simulated")["p"].min() * len(arms.family)
    rows = rows[rows["difference_low"].notna()]
    shift = levels.effects or (0.0,) * len(levels.shares)
    # Runs that differ by level do so in arm and reference alike, so equal effects stay equal.
    truth = [true_difference(arms, effect) for effect in shift]
    at = rows["level"].map({str(level): value for level, value in enumerate(truth)})
    inside = (rows["difference_low"] <= at) & (at <= rows["difference_high"])
    covered = [share(list(own)) for _, own in inside.groupby(rows["level"])]
    return {
        "p <= 0.05": percent(share(list(smallest <= 0.05))),
        "studies tested": str(len(smallest)),
        "lowest coverage of a level": percent(min(covered)),
        "highest": percent(max(covered)),
        "SD of a level's difference": f"{(rows['difference'] - at).std():.3f}",
        "degrees of freedom (median)": f"{tests['degrees_within'].median():.0f}",
    }


def true_difference(arms: Arms, shift: float) -> float:
    """The difference of the first arm to the reference, in the population of a level with this effect."""
    effect = arms.effects[0] + shift
    return population_value(arms.noise, effect) - population_value(arms.noise) if effect else 0.0


TABLES = {
    "coverage": (of_coverage, of_null, "Equally good arms: do the intervals hold the true difference?"),
    "families": (of_families, of_null, "Families of equally good arms: is any called supported?"),
    "breaks": (
        of_breaks,
        of_null,
        "Luck that all runs of an arm share (verdicts are of one setting then); runs that fail",
    ),
    "subgroups": (
        of_subgroups,
        of_levels,
        "Subgroups: is a difference said to vary (equal ones first, then planted), do intervals hold it?",
    ),
    "power": (of_power, of_effect, "A planted difference of macro-F1: how often is it supported?"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    args = parser.parse_args()
    for name in args.only:
        conditions, measure, title = TABLES[name]
        print(f"\n{title} ({args.studies} studies each)\n")
        for number, condition in enumerate(conditions()):
            cells = measure(condition, args.studies, number)
            if not number:
                print("| condition | " + " | ".join(cells) + " |\n|---|" + "---|" * len(cells))
            print(f"| {condition.name} | " + " | ".join(cells.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
