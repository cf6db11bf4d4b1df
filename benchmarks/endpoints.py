"""How often the intervals of decline's and change's metrics hold the truth, in studies where it is known.

python benchmarks/endpoints.py --studies 400
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.measured import of_counts, of_runs
from analysis.statistics.metrics import METRICS
from analysis.statistics.run_metrics import RUN_METRICS
from analysis.statistics.run_values import run_values
from analysis.statistics.simulated_studies import share

ARMS = ("reference", "arm")
DESIGNS = {
    "189 patients, 5 folds x 3 seeds": (189, 5, 1, 3),
    "189 patients, 5 folds x 1 seed": (189, 5, 1, 1),
    "189 patients, 3 repeats x 5 folds x 3 seeds": (189, 5, 3, 3),
    "36 patients, 3 folds x 1 seed": (36, 3, 1, 1),
}
NOISE = {"default": (0.1, 0.1), "heavy": (0.4, 0.3)}
"""SD of a run's slope of predicted on true change, and of its shift, in SDs of the change."""


def simulated(rng: np.random.Generator, design: tuple[int, int, int, int], noise: str) -> pd.DataFrame:
    """One ledger of two equally good arms: the true change, what they predict of it, and p of worse."""
    patients, folds, repeats, seeds = design
    patient = np.repeat(np.arange(patients), rng.choice([1, 2, 3], patients, p=[0.6, 0.25, 0.15]))
    n = len(patient)
    change = 0.6 * rng.normal(size=patients)[patient] + 0.8 * rng.normal(size=n)
    of_slope, of_shift = NOISE[noise]
    reading = {arm: 0.5 * rng.normal(size=patients)[patient] + 0.5 * rng.normal(size=n) for arm in ARMS}
    shared, frames = 0.5 * rng.normal(size=n), []
    for repeat in range(repeats):
        fold = rng.permutation(np.arange(patients) % folds)[patient]
        for seed in range(seeds):
            for arm in ARMS:
                slope = (1 + of_slope * rng.normal(size=folds))[fold]
                predicted = slope * change + (of_shift * rng.normal(size=folds))[fold]
                predicted = predicted + shared + reading[arm] + 0.4 * rng.normal(size=n)
                frames.append(
                    pd.DataFrame(
                        {"arm": arm, "repeat": repeat, "fold": fold, "seed": seed, "patient": patient,
                         "change": change, "change_pred": predicted, "p_worse": expit(-2 * predicted - 1),
                         "y_true": np.digitize(change, [-0.5, 0.5]),
                         "y_pred": np.digitize(predicted, [-0.5, 0.5])}
                    )
                )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def covered(ledger: pd.DataFrame) -> dict[str, bool]:
    """Whether the interval of the difference holds zero, by metric."""
    counts = confusion_counts(ledger, ARMS)
    names = ("decline_balanced_accuracy", "decline_f1")
    measured = [of_counts(counts, METRICS[name]) for name in names]
    measured += [of_runs(run_values(ledger, metric, ARMS), metric) for metric in RUN_METRICS.values()]
    rows = [row for m in measured for row in m.differences(ARMS[0], [ARMS[1]])]
    return {row["metric"]: bool(row["low"] <= 0 <= row["high"]) for row in rows}


def main() -> None:
    """Print the coverage of every metric in every design."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    for name, design in DESIGNS.items():
        for noise in NOISE:
            seeds = np.random.SeedSequence(0).spawn(studies)
            found = pd.DataFrame([covered(simulated(np.random.default_rng(s), design, noise)) for s in seeds])
            print(f"{name}, {noise} noise")
            for metric in found:
                rate, low, high = share(list(found[metric]))
                print(f"  {metric:26} {100 * rate:5.1f} % [{100 * low:.1f}, {100 * high:.1f}]", flush=True)


if __name__ == "__main__":
    main()
