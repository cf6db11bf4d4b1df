"""How often the decision rule is wrong, and how often it finds an effect: the full simulation.

    python benchmarks/calibration.py [--studies 1000]

Prints a Markdown table; about ten minutes on one core. A short version runs in
tests/analysis/statistics/test_simulated_studies.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.statistics.simulated_studies import HEAVY_NOISE, Design, rates, simulated_tests

TARGET = 0.10
"""True difference of macro-F1 whose power is measured."""


def effect_for(target: float) -> float:
    """Effect on the logit whose mean difference of macro-F1 is the target, by interpolation over 300 studies
    each.
    """
    grid = np.array([0.3, 0.45, 0.6, 0.75])
    means = [simulated_tests(Design(), 300, e, draws=20, seed=9)["difference"].mean() for e in grid]
    return float(np.interp(target, means, grid))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    effect = effect_for(TARGET)
    three_by_three = Design(repeats=3, seeds=3)
    conditions = [
        ("no effect, 3 seeds", Design(), 0.0, {}),
        ("no effect, 1 seed", Design(seeds=1), 0.0, {}),
        ("no effect, 10 seeds", Design(seeds=10), 0.0, {}),
        ("no effect, 3 repeats x 3 seeds", three_by_three, 0.0, {}),
        ("no effect, 3 seeds, heavy training noise", Design(), 0.0, {"noise": HEAVY_NOISE}),
        ("no effect, 3 seeds, then the seeds advised", Design(), 0.0, {"follow": True}),
        ("no effect, 2 arms", Design(arms=2), 0.0, {}),
        ("no effect, 10 arms", Design(arms=10), 0.0, {}),
        (f"macro-F1 +{TARGET:.2f}, 3 seeds", Design(), effect, {}),
        (f"macro-F1 +{TARGET:.2f}, 3 repeats x 3 seeds", three_by_three, effect, {}),
    ]
    print("Share of studies with at least one positive at 5 % [95 % interval]; 189 patients, 5 folds.\n")
    for number, (name, design, planted, options) in enumerate(conditions):
        start = time.perf_counter()
        tests = simulated_tests(design, studies, planted, seed=number, **options)
        found = rates(tests)
        if not number:
            print("| condition | mean difference | " + " | ".join(found) + " | seconds |")
            print("|---|---|" + "---|" * len(found) + "---|")
        cells = [f"{100 * r:.1f} % [{100 * low:.1f}, {100 * high:.1f}]" for r, low, high in found.values()]
        seconds = time.perf_counter() - start
        row = [f"{name} ({studies} studies)", f"{tests['difference'].mean():+.3f}", *cells, f"{seconds:.0f}"]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
