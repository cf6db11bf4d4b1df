"""One search on the cores of one machine: one trial at a time, two at a time, and Optuna with joblib.

    python benchmarks/one_search.py [--trials 12] [--rounds 3]

The search of one arm in one fold, as with ``--protocol development``: really trained runs on a phantom
cohort, one thread each, no pruner. All ways train runs of the same configuration, patients and length; each
has a process of its own, and the ways take turns. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import optuna
import ray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.overhead import Intervals, read_intervals
from benchmarks.overhead_ways import make_job, optuna_joblib, ours
from learner_ray.imaging.phantoms import write_phantom
from learner_ray.run.provenance import git_sha, processor

SLOTS = 2
WAYS = {"ours, P = 1": 1, "ours, P = 2": 2, "Optuna + joblib, 2 processes": 0}
"""Trials of a search at a time; 0 is without this package's engine."""


def part(trials: int, parallel: int, manifest: str, folder: str) -> float:
    """Seconds of the search, Ray being up."""
    job = make_job("real", trials, SLOTS, manifest, folder)
    (first, *_) = job.plan.groups
    settings = replace(first.settings, parallel_trials=parallel or 1)
    group = replace(first, trials=trials, settings=settings)
    job = replace(job, plan=replace(job.plan, groups=[group]))
    begun = ours(job) if parallel else optuna_joblib(job)
    seconds = time.time() - begun
    ray.shutdown()
    return seconds


def devices_in_use(intervals: Intervals, seconds: float) -> float:
    """The share of the slots that trained, of a search's whole time."""
    return sum(end - begin for run in intervals for _, begin, end in run) / (SLOTS * seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if args.part:
        trials, parallel, manifest, folder = args.part
        print(json.dumps(part(int(trials), int(parallel), manifest, folder)))
        return
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start;")
    print(f"commit {git_sha()}, {args.trials} trials, {args.rounds} rounds\n")
    walls, shares, trained = defaultdict(list), defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as data:
        manifest = Path(data) / "cohort"
        write_phantom("lus", manifest, patients=12)
        for _ in range(args.rounds):
            for way, parallel in WAYS.items():
                with tempfile.TemporaryDirectory() as folder:
                    words = [sys.executable, __file__, "--part", str(args.trials), str(parallel)]
                    child = subprocess.run(
                        [*words, str(manifest), folder], stdout=subprocess.PIPE, text=True, check=True
                    )
                    seconds = json.loads(child.stdout.splitlines()[-1])
                    intervals = read_intervals(Path(folder) / "runs")
                assert len(intervals) == args.trials, f"{way}: {len(intervals)} runs"
                walls[way].append(seconds)
                shares[way].append(devices_in_use(intervals, seconds))
                trained[way].append(sum(end - begin for run in intervals for _, begin, end in run))
    print(
        "| way | wall s (median) | of joblib's | slots in use | training s per trial |\n|---|---|---|---|---|"
    )
    joblib = statistics.median(walls[list(WAYS)[-1]])
    for way in WAYS:
        wall, share = statistics.median(walls[way]), statistics.median(shares[way])
        each = statistics.median(trained[way]) / args.trials
        print(f"| {way} | {wall:.1f} | {wall / joblib:.2f} | {share:.2f} | {each:.2f} |")


if __name__ == "__main__":
    main()
