"""The whole pipeline's verdicts where the truth is known: phantoms, sweep, ledger, decision rule.

    python benchmarks/verdicts.py [--studies 10] [--patients 36] [--folds 3] [--out verdicts.csv]

Every study has its own phantom cohort and three arms: the reference, pretrained on shuffled scores; a twin
that differs from it in name and seeds alone, so that any difference is chance; and one pretrained on the true
scores, better by construction. Nothing is searched, so what is supported is so of this configuration only;
counts how often each of the two is. Phantom results.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.results.load import load
from analysis.statistics.cap import CONFIGURATION_ONLY
from analysis.statistics.study_statistics import study_statistics
from benchmarks.processes import sweep_command
from learner_ray.imaging.phantoms import write_phantom

STUDY = """
from dataclasses import replace
from learner_ray.study.study import Arm
from search_spaces.lus import STUDY as LUS

SHUFFLED = {"loss.name": "mse", "train.shuffle_scores": True}
ARMS = (
    Arm(name="shuffled", label="Shuffled scores", edits=SHUFFLED),
    Arm(name="twin", label="Shuffled scores, other seeds", edits=SHUFFLED, seed_offset="twin"),
    Arm(name="true", label="True scores", edits={"loss.name": "mse"}),
)
STUDY = replace(
    LUS, name="verdicts", arms=ARMS, default_arms=("shuffled", "twin", "true"), reference="shuffled"
)
"""


def verdicts(folder: Path, seed: int, patients: int, more: list[str]) -> pd.DataFrame:
    """Both arms' tests in one study."""
    manifest = write_phantom("lus", folder / "cohort", patients=patients, seed=1000 + seed)
    study = folder / "study.py"
    study.write_text(STUDY)
    out = folder / "results" / "lus"
    options = ["--trials", "0", "--address", "local", *more]
    command = sweep_command(manifest, out, *options, study=str(study))
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    if done.returncode:
        raise SystemExit(f"study {seed} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    tests = study_statistics(load([out]).studies[0]).comparison.tests
    return tests[["arm", "difference", "p", "p_holm", "verdict"]].assign(study=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first study, which seeds it")
    parser.add_argument("--patients", type=int, default=36)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2, help="final runs per fold")
    parser.add_argument("--out", type=Path, default=Path("verdicts.csv"))
    args = parser.parse_args()
    found: list[pd.DataFrame] = []
    more = ["--seeds", str(args.seeds), "--folds", str(args.folds)]
    for number in range(args.first, args.first + args.studies):
        with tempfile.TemporaryDirectory() as temporary:
            found.append(verdicts(Path(temporary), number, args.patients, more))
        table = pd.concat(found, ignore_index=True)
        table.to_csv(args.out, index=False)
        print(found[-1].round(3).to_string(index=False, header=len(found) == 1), flush=True)
    for arm, own in table.groupby("arm", sort=False):
        supported = int((own["verdict"] == CONFIGURATION_ONLY).sum())
        mean, sd = own["difference"].mean(), own["difference"].std()
        print(f"{arm}: supported in {supported} of {len(own)}; difference {mean:+.3f}, SD {sd:.3f}")


if __name__ == "__main__":
    main()
