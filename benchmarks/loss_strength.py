"""How strong each loss is beside the regression, and what it gives, with raw and with balanced weights.

    python benchmarks/loss_strength.py lus --out DIR
    python benchmarks/loss_strength.py mri --data COHORT --out DIR

Two sweeps at fixed settings, all losses at ``contrastive_weight`` 1 (or ``--weight``): one with raw weights,
one with balanced ones. Prints, per loss, the ratio of the gradients at the embedding in the first, the middle
and the last epoch (median over final runs), macro-F1, its difference to the reference and score Spearman with
the report's intervals, and the device-seconds of a final run. The same command again goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.results.load import load
from analysis.results.run_files import run_folder
from analysis.results.study import StudyResults
from analysis.statistics.loss_strength import device_seconds
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.table import with_interval

ARMS = (
    "mse", "mse_two_views", "contrastive", "weighted", "rank_n_contrast", "y_aware", "expw", "adacon",
    "log_ratio", "supcon", "siamese",
)  # fmt: skip


def sweep(args: argparse.Namespace, weighting: str) -> Path:
    """Runs, or goes on with, the study of one weighting; its results folder."""
    out: Path = args.out / args.modality / weighting
    command = [
        sys.executable, "-m", "learner_ray.sweep", args.modality, "--out", str(out), "--address", "local",
        "--profile", "laptop", "--trials", "0", "--folds", str(args.folds), "--seeds", str(args.seeds),
        "--arms", args.arms, "--set", f"loss.weighting={weighting}",
        "--set", f"loss.contrastive_weight={args.weight}", *(["--data", args.data] if args.data else []),
        *(part for edit in args.set for part in ("--set", edit)),
    ]  # fmt: skip
    code = subprocess.run(command).returncode
    if code not in (0, 3):  # 3: some runs failed, and the table says so
        raise SystemExit(code)
    return out


def ratios_over_training(study: StudyResults) -> pd.Series[str]:
    """By arm, the ratio in the first, the middle and the last epoch, medians over the final runs."""
    found: dict[str, str] = {}
    for arm, runs in study.finals[study.finals["state"] == "complete"].groupby("arm"):
        curves = [curve for curve in (ratios(study, run) for run in runs["run_hash"]) if curve]
        if curves:
            medians = np.median(np.array(curves), axis=0)
            found[str(arm)] = " ".join(f"{medians[i]:.3g}" for i in (0, len(medians) // 2, -1))
    return pd.Series(found, dtype=str)


def ratios(study: StudyResults, run_hash: str) -> list[float]:
    """The ratio of every epoch of a run; none where it pretrained nothing."""
    lines = (run_folder(study, run_hash) / "progress.jsonl").read_text().splitlines()
    return [row["train/gradient_ratio"] for row in map(json.loads, lines)]


def table(folder: Path) -> pd.DataFrame:
    """The row of each arm."""
    study = load([folder]).studies[0]
    found = study_statistics(study)
    metrics = found.comparison.metrics
    scored = metrics[metrics["metric"] == "macro_f1"].set_index("arm")
    contrasts = found.comparison.contrasts
    differences = contrasts[contrasts["metric"] == "macro_f1"].set_index("arm")
    spearman = found.spearman.set_index("arm")
    rows = {
        arm: {
            "gradient ratio": ratios_over_training(study).get(arm, ""),
            "macro-F1": interval(scored, arm, "value"),
            "difference": interval(differences, arm, "difference"),
            "score Spearman": interval(spearman, arm, "value"),
            "device s": f"{device_seconds(study).get(arm, float('nan')):.1f}",
        }
        for arm in found.arms
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def interval(frame: pd.DataFrame, arm: str, value: str) -> str:
    """A value of an arm with its interval; empty where it has none."""
    return with_interval(*frame.loc[arm, [value, "low", "high"]]) if arm in frame.index else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modality", choices=("lus", "mri"))
    parser.add_argument("--data", help="manifest or folder (default: the phantom)")
    parser.add_argument("--out", type=Path, default=Path("results/loss_strength"))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for all runs")
    args = parser.parse_args()
    for weighting in ("raw", "balanced"):
        found = table(sweep(args, weighting))
        print(f"{args.modality}, {args.data or 'phantom'}: {weighting} weights of {args.weight:g}", *args.set)
        print(found.to_string(), flush=True)


if __name__ == "__main__":
    main()
