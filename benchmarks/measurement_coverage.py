"""How often intervals of calibration and net benefit cover what further patients and runs would show.

    python benchmarks/measurement_coverage.py [--studies 300]

Studies are simulated as in calibration.py, with class probabilities. The truth is that of one study of the
same noise with 100,000 patients and 200 runs. Of net benefit the threshold probabilities 0.2 and 0.4 are
taken, as a value and as the difference with the better of acting on all and on none, and the band of that
difference. Prints a Markdown table with Wilson intervals; about five minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.statistics.net_benefit import net_benefit
from analysis.statistics.recalibration import recalibration
from analysis.statistics.simulated_studies import (
    DEFAULT_NOISE,
    HEAVY_NOISE,
    REFERENCE,
    Arms,
    Design,
    Noise,
    share,
    simulated_ledger,
)

CONDITIONS = {
    "default, 3 seeds": (Design(), DEFAULT_NOISE),
    "heavy training noise, 3 seeds": (Design(), HEAVY_NOISE),
    "heavy, 1 seed": (Design(seeds=1), HEAVY_NOISE),
    "laptop: 36 patients, 3 folds, 1 seed": (
        Design(patients=36, folds=3, seeds=1, pairs=(3,) * 36),
        DEFAULT_NOISE,
    ),
    "3 repeats x 3 seeds, heavy": (Design(repeats=3), HEAVY_NOISE),
}
LARGE = Design(patients=100_000, folds=200, seeds=1)
DRAWS = 400
SHOWN = (0.2, 0.4)


def ledger_of(rng: np.random.Generator, design: Design, noise: Noise) -> pd.DataFrame:
    """The ledger of one arm."""
    ledger = simulated_ledger(rng, design, Arms((), noise)).query(f"arm == '{REFERENCE}'")
    return ledger.assign(pair=ledger.groupby(["repeat", "seed"]).cumcount())


def found(ledger: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Value, low and high of each quantity of the class *worse*."""
    worse = recalibration(ledger).set_index("class").loc["worse"]
    curve = net_benefit(ledger, draws=DRAWS).query(f"arm == '{REFERENCE}'").set_index("threshold")
    told = {
        name: (worse[name], worse[f"{name}_low"], worse[f"{name}_high"]) for name in ("intercept", "slope")
    }
    for t in SHOWN:
        row = curve.iloc[int(np.abs(curve.index.to_numpy() - t).argmin())]
        told[f"net benefit at {t}"] = (row["value"], row["low"], row["high"])
        told[f"beyond default at {t}"] = tuple(row[f"default_{n}"] for n in ("value", "low", "high"))
        band = (row["default_value"], row["default_band_low"], row["default_band_high"])
        told[f"band at {t}"] = band
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=300)
    args = parser.parse_args()
    for number, (name, (design, noise)) in enumerate(CONDITIONS.items()):
        truth = found(ledger_of(np.random.default_rng(0), LARGE, noise))
        held: dict[str, list[bool]] = {what: [] for what in truth}
        for child in np.random.SeedSequence(number).spawn(args.studies):
            for what, (_, low, high) in found(ledger_of(np.random.default_rng(child), design, noise)).items():
                if np.isfinite(low):
                    held[what].append(bool(low <= truth[what][0] <= high))
        if not number:
            print(f"| condition | {' | '.join(truth)} |\n|---|{'---|' * len(truth)}")
        cells = [share(hits) if hits else (np.nan,) * 3 for hits in held.values()]
        said = [f"{100 * c[0]:.1f} [{100 * c[1]:.1f}, {100 * c[2]:.1f}]" for c in cells]
        print(f"| {name} | {' | '.join(said)} |", flush=True)


if __name__ == "__main__":
    main()
