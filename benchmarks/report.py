"""Seconds and memory of a large report: 10,000 trials and 30 arms x 15 folds x 3 seeds x 300 pairs.

    python benchmarks/report.py [--importance]

The folds are 5 folds x 3 repeats and every fold tests 300 pairs, so the ledger has 405,000 rows of about 940
patients. The report runs in a process of its own, as a user would start it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ARMS, FOLDS, REPEATS, SEEDS, PAIRS, TRIALS = 30, 5, 3, 3, 300, 10_000


def make_ledger(rng: np.random.Generator) -> pd.DataFrame:
    pairs = PAIRS * FOLDS
    patient = np.sort(rng.integers(0, int(pairs / 1.6), pairs))
    y = rng.choice(3, pairs, p=[0.3, 0.4, 0.3])
    change = (y - 1) * rng.uniform(26, 80, pairs) + rng.normal(0, 8, pairs)
    names = {
        "patient": [f"p{i:05d}" for i in patient],
        "pair": [f"p{p:05d}-{i}" for i, p in enumerate(patient)],
    }
    fixed = pd.DataFrame({**names, "y_true": y, "change": change, "site": patient % 3, "device": patient % 2})
    frames = []
    for repeat in range(REPEATS):
        fold = rng.permutation(np.arange(patient.max() + 1) % FOLDS)[patient]
        for arm in range(ARMS):
            for seed in range(SEEDS):
                logits = rng.normal(size=(pairs, 3))
                logits[np.arange(pairs), y] += 1 + 0.02 * arm
                p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
                run = [f"a{arm}r{repeat}f{f}s{seed}" for f in fold]
                made = {"arm": f"arm{arm:02d}", "repeat": repeat, "fold": fold, "seed": seed, "run_hash": run}
                made |= {f"p_{name}": p[:, i] for i, name in enumerate(("worse", "same", "better"))}
                made |= {"y_pred": p.argmax(1), "distance": np.abs(change) / 500 + rng.uniform(0, 0.2, pairs)}
                frames.append(fixed.assign(**made))
    return pd.concat(frames, ignore_index=True)


def make_trials(rng: np.random.Generator) -> pd.DataFrame:
    group = np.arange(TRIALS) % (ARMS * FOLDS * REPEATS)
    lr, margin = 10 ** rng.uniform(-4, -2, TRIALS), rng.uniform(0.05, 0.5, TRIALS)
    score = -1 - 0.2 * (np.log10(lr) + 3) ** 2 + 0.05 * rng.normal(size=TRIALS)
    columns = {
        "arm": [f"arm{g // (FOLDS * REPEATS):02d}" for g in group], "repeat": group // FOLDS % REPEATS,
        "fold": group % FOLDS, "trial": np.arange(TRIALS) // (ARMS * FOLDS * REPEATS),
        "run_hash": [f"t{i:05d}" for i in range(TRIALS)], "config.train.lr": lr,
        "config.loss.margin": margin,
        "config.train.weight_decay": 10 ** rng.uniform(-4, -1, TRIALS), "selection_score": score,
        "state": rng.choice(["complete", "stopped"], TRIALS, p=[0.7, 0.3]), "best_epoch": 8, "epochs": 12,
        "device_seconds": rng.uniform(100, 300, TRIALS), "error": "",
    }  # fmt: skip
    return pd.DataFrame(columns)


def make_scores(ledger: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    table = ledger[["arm", "repeat", "fold", "seed", "run_hash", "patient"]].assign(
        visit=0, scan=ledger["pair"]
    )
    score = ledger["change"] + 250
    return table.assign(score=score, predicted=score + rng.normal(0, 60, len(table)))


def make_study(folder: Path) -> None:
    """Write the folder of one study, and progress files of its trials beside it."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    ledger, trials = make_ledger(rng), make_trials(rng)
    ledger.to_parquet(folder / "ledger.parquet")
    trials.to_parquet(folder / "trials.parquet")
    make_scores(ledger, rng).to_parquet(folder / "scores.parquet")
    info = {
        "study": folder.name, "modality": "lus", "protocol": "nested", "reference": "arm00", "folds": FOLDS,
        "repeats": REPEATS, "seeds": SEEDS, "trials": 22, "search_metric": "log-loss", "cohort": {
            "name": "benchmark", "temporal": True, "phantom": False,
            "score": {"name": "S/F ratio", "change_threshold": 25},
        },
        "arms": [{"name": f"arm{i:02d}", "label": f"Arm {i}", "searched": ["train.lr"]} for i in range(ARMS)],
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(info))
    for run in trials["run_hash"]:
        path = folder.parent / "runs" / run
        path.mkdir(parents=True)
        lines = [json.dumps({"epoch": e, "selection_score": -2 + e / 12}) for e in range(1, 13)]
        (path / "progress.jsonl").write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--importance", action="store_true", help="rank hyperparameters too")
    extra = ["--importance"] if parser.parse_args().importance else []
    with tempfile.TemporaryDirectory() as temporary:
        study = Path(temporary) / "results" / "lus"
        make_study(study)
        command = [
            sys.executable,
            str(ROOT / "analysis/report.py"),
            str(study),
            "--out",
            f"{temporary}/report",
        ]
        start = time.perf_counter()
        child = subprocess.Popen([*command, *extra], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        size = (Path(temporary) / "report/index.html").stat().st_size / 2**20
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, Python {platform.python_version()}")
    processor, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20
    print(f"exit {os.waitstatus_to_exitcode(status)}, {seconds:.1f} s (processor {processor:.1f} s)")
    print(f"{peak:.2f} GiB at most, page {size:.1f} MiB")


if __name__ == "__main__":
    main()
