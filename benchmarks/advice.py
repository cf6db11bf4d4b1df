"""How often a study comes to *supported* with the further seeds that its report advises.

    python benchmarks/advice.py [--studies 300]

A study of 3 seeds in which one of K arms is better in truth is tested; where ``more_seeds`` of that arm is
not 0, so many seeds are added and it is tested again. About half is what to expect, since the advice takes
the difference that was seen for the true one. Prints a Markdown table with Wilson intervals; about five
minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.statistics.compare import tests_against
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import METRICS
from analysis.statistics.simulated_studies import (
    HEAVY_NOISE,
    REFERENCE,
    Arms,
    Design,
    effect_for,
    share,
    simulated_ledger,
)
from analysis.statistics.verdict import MOST_ROUNDS

SEEDS = 3
DIFFERENCE = 0.1
"""Of macro-F1, between the better arm and the others."""


def first_arm(ledger: pd.DataFrame, arms: Arms, seeds: int) -> pd.Series:
    """The better arm's test with so many of the seeds."""
    confusions = confusion_counts(ledger[ledger["seed"] < seeds], (REFERENCE, *arms.family))
    tests = tests_against(
        confusions, reference=REFERENCE, family=arms.family, primary=METRICS["macro_f1"]
    )  # fmt: skip
    return tests.iloc[0]


def followed(count: int, studies: int) -> list[bool]:
    """Whether each study that was given advice came to a verdict by following it.

    Args:
        count: of arms; the first is better.
        studies: how many are simulated.
    """
    effects = (effect_for(DIFFERENCE, HEAVY_NOISE), *[0.0] * (count - 1))
    arms, found = Arms(effects, HEAVY_NOISE), list[bool]()
    for child in np.random.SeedSequence(count).spawn(studies):
        ledger = simulated_ledger(np.random.default_rng(child), Design(seeds=MOST_ROUNDS), arms)
        more = int(first_arm(ledger, arms, SEEDS)["more_seeds"])
        if more:
            found.append(first_arm(ledger, arms, SEEDS + more)["verdict"] == "supported")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=300)
    args = parser.parse_args()
    print("| arms | studies that were advised | supported with the seeds that were advised |\n|---|---|---|")
    for count in (1, 3, 9):
        came = followed(count, args.studies)
        rate = [100 * part for part in share(came)]
        said = f"{rate[0]:.1f} % [{rate[1]:.1f}, {rate[2]:.1f}]"
        print(f"| {count} | {len(came)} of {args.studies} | {said} |", flush=True)


if __name__ == "__main__":
    main()
