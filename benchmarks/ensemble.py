"""What calibration and prediction sets of an arm's ensemble are worth, on patients neither was learnt from.

    python benchmarks/ensemble.py results/lus results/mri [--arms mse,contrastive] [--levels 0.9,0.8]
    python benchmarks/ensemble.py results/lus-phantom --new 100

Cross-fitted: calibration and sets of each fold's test pairs are learnt from the patients of the other folds.
A study that was also tested on an external cohort shows the whole ensemble there; with ``--new``, one of the
phantom shows it on as many phantom patients whom no run has seen, by the very path of ``predict``. Every
patient weighs the same; intervals are of 10,000 draws of patients, 95 %, with the calibration as it is. Brier
scores are sums over the classes: 0.67 is what equal probabilities of three classes have.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.statistics.ensemble_quality import MEASURES, cross_fitted, external, judged, summary
from analysis.statistics.nearest_scans import FAR
from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.imaging.phantoms import write_phantom
from learner_ray.run.provenance import git_sha
from learner_ray.study.ensemble import ArmEnsemble, arm_ensemble, shares_as_far
from learner_ray.training.ensemble import predict_with_all
from learner_ray.training.prediction import listed

SEED = 101
"""Of the new patients; the default cohort's is 0."""


def arms_of(folder: Path) -> list[str]:
    """The arms of a study that have final runs with an encoder."""
    rows = pd.read_parquet(folder / "ledger.parquet")
    return [name for name in rows.loc[rows["distance"].notna(), "arm"].unique() if " + " not in name]


def on_new_patients(of: ArmEnsemble, patients: int, levels: list[float]) -> dict[str, pd.DataFrame]:
    """The whole ensemble judged on new patients of the phantom with two visits each, by level."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_phantom(of.modality, Path(folder), patients=patients, visits=2, seed=SEED)
        cohort = load(manifest, modality=of.modality)
        found = predict_with_all(of.folders, listed(manifest, of.modality))
    truth = cohort.pairs().set_index("patient")
    patient = found.pairs["patient"]
    y = truth["y"].reindex(patient).to_numpy(np.int64)
    by_fold = of.by_fold(np.stack([run.probabilities for run in found.runs]))
    codes = np.unique(patient, return_inverse=True)[1].astype(np.int64)
    far = float((shares_as_far(of, found) <= FAR).mean())
    print(f"new patients: {far:.1%} of {len(found.scans)} scans are called far")
    return {
        f"{patients} new patients, level {level:g}": judged(of.ensemble.predict(by_fold, level), y, codes)
        for level in levels
    }


def shown(of: ArmEnsemble, levels: list[float], new: int) -> None:
    """Prints one arm's measures, as a table in Markdown."""
    known = of.ensemble.known
    tables = {f"other folds, level {level:g}": cross_fitted(known, level) for level in levels}
    rows = of.study.external
    rows = rows[(rows["arm"] == of.arm) & ~rows["imputed"].astype(bool)] if len(rows) else rows
    if len(rows):
        tables |= {f"external, level {level:g}": external(of.ensemble, rows, level) for level in levels}
    if new:
        tables |= on_new_patients(of, new, levels)
    print(f"\n{of.describe(levels[0])[0]}\n{of.describe(levels[0])[1]}\n")
    print(f"| | {' | '.join(MEASURES.values())} |\n|---|{'---|' * len(MEASURES)}")
    for name, table in tables.items():
        cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in summary(table).values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Prints the measures of every study and arm that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--arms", default="", help="by default all with an encoder")
    parser.add_argument("--levels", default="0.9,0.8")
    parser.add_argument("--new", type=int, default=0, help="new patients of the phantom, too")
    args = parser.parse_args()
    levels = [float(level) for level in args.levels.split(",")]
    print(f"commit {git_sha()}")
    for folder in args.results:
        for arm in args.arms.split(",") if args.arms else arms_of(folder):
            try:
                shown(arm_ensemble(folder, arm), levels, args.new)
            except UserError as error:
                print(f"\n{error}")


if __name__ == "__main__":
    main()
