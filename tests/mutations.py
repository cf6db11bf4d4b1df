"""Eleven rules, each broken on purpose in a copy of this checkout, and whether the tests notice.

``python -m tests.mutations [NAME ...]`` prints a row per rule and the first test that failed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One rule, broken by replacing text of a file."""

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Where to look for the test that holds the rule."""


MUTATIONS = {
    "shared-split": Mutation(
        rule="all arms share one split",
        file="learner_ray/study/plan.py",
        old="for fold in folds for arm in chosen]",
        new="for n, arm in enumerate(chosen)\n        for fold in make_splits(cohort, folds=size.folds, "
        "repeats=size.repeats, seed=seed + n)]",
        tests=("tests/study/test_plan.py",),
    ),
    "halving": Mutation(
        rule="halving stops the worse half",
        file="learner_ray/study/halving.py",
        old="return better >= self._places(len(reached) + 1)",
        new="return False",
        tests=("tests/study",),
    ),
    "lock": Mutation(
        rule="one process trains a run",
        file="learner_ray/run/folder.py",
        old='    with locked_file(folder.path / ".lock", within_s=within_s):\n        yield\n',
        new="    yield\n",
        tests=("tests/run", "tests/study", "tests/training/test_run.py"),
    ),
    "seed": Mutation(
        rule="a run's hash holds its seed",
        file="learner_ray/run/spec.py",
        old='            "config": config,\n',
        new='            "config": {k: v for k, v in config.items() if k != "seed"},\n',
        tests=("tests/run", "tests/study"),
    ),
    "patients": Mutation(
        rule="a run's hash holds its patients",
        file="learner_ray/run/spec.py",
        old="{role: sorted(who) for role, who in vars(self.patients).items()}",
        new="{}",
        tests=("tests/run", "tests/study"),
    ),
    "numerics": Mutation(
        rule="a run's hash holds its numerics",
        file="learner_ray/run/spec.py",
        old='            identity["numerics"] = self.numerics\n',
        new="            pass\n",
        tests=("tests/run/test_spec.py",),
    ),
    "fsync": Mutation(
        rule="a file is on disk before it takes its name",
        file="learner_ray/core/files.py",
        old="            os.fsync(stream.fileno())\n",
        new="",
        tests=("tests/core/test_files.py",),
    ),
    "local-pairs": Mutation(
        rule="pairs are compared over the global batch",
        file="learner_ray/training/distributed.py",
        old="        return torch.cat(rows)\n",
        new="        return torch.cat([r if r is own else torch.zeros_like(r) for r in rows])\n",
        tests=("tests/training/test_distributed.py",),
    ),
    "paired-seeds": Mutation(
        rule="arms are paired by their seeds",
        file="learner_ray/study/planned_run.py",
        old="seed_offset = (self.arm.seed_offset,) if self.arm.seed_offset else ()",
        new="seed_offset = (self.arm.name,)",
        tests=("tests/study",),
    ),
    "holm": Mutation(
        rule="p-values are corrected by Holm's method",
        file="analysis/statistics/verdict.py",
        old="steps = p[order] * (size - np.arange(len(order)))",
        new="steps = p[order] * 1.0",
        tests=("tests/analysis/statistics/test_compare.py",),
    ),
    "token": Mutation(
        rule="a cluster asks for a token",
        file="cluster/env.sh",
        old="export RAY_AUTH_MODE=token",
        new="export RAY_AUTH_MODE=disabled",
        tests=("tests/cluster", "-m", "not cluster"),
    ),
}


def broken(mutation: Mutation, copy: Path) -> str:
    """The first test that fails once the rule is broken; empty where none does."""
    path = copy / mutation.file
    whole = path.read_text()
    if mutation.old not in whole:
        raise SystemExit(f"{mutation.file} no longer holds {mutation.old!r}: mend this list")
    path.write_text(whole.replace(mutation.old, mutation.new, 1))
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *mutation.tests]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    path.write_text(whole)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests could not be run:\n{done.stdout}{done.stderr}")
    found = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def main(names: list[str]) -> int:
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".venv", ".git", "results", "report", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for name in names or MUTATIONS:
            caught = broken(MUTATIONS[name], copy)
            missed += not caught
            print(f"{name:14} {MUTATIONS[name].rule:46} {caught or 'NOT CAUGHT'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
