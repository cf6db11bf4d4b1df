"""What every command owes its user: an answer at once to --help and to a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imaging.make_scans import write_listed

LOADED = """
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print("ENDED", ended.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""

OURS = {"analysis", "learner_ray", "search_spaces"}
FOR_TABLES = {"numpy", "pandas"}
"""What a mistake in a cohort may load beside: half a second."""
HEAVY = {
    "av", "decord", "jinja2", "matplotlib", "nibabel", "numpy", "optuna", "pandas", "pyarrow", "ray", "scipy",
    "sklearn", "tensorboard", "torch", "yaml",
}  # fmt: skip


def packages(*command: str) -> tuple[str, set[str]]:
    """Exit code of a command, and the packages that it has loaded."""
    line = [sys.executable, "-c", LOADED, *command]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    _, code, *names = done.stdout.splitlines()[-1].split()
    return code, {name for name in names if name not in sys.stdlib_module_names}


@pytest.mark.parametrize("module", ["sweep", "train", "predict", "check"])
def test_help_and_a_misspelt_option_load_our_own_modules_alone(module: str) -> None:
    for arguments, expected in ((["--help"], "0"), (["x", "--ouf"], "2")):
        code, loaded = packages(f"learner_ray.{module}", *arguments)
        assert code == expected and "learner_ray" in loaded
        assert not loaded & HEAVY


def test_help_of_the_report_loads_our_own_modules_alone() -> None:
    code, loaded = packages("analysis.report", "--help")
    assert code == "0" and not loaded & HEAVY


FOR_HEADERS = {"av", "nibabel", "pyarrow", "scipy"}
"""What a scan that is none may load beside: a fifth of a second."""


def test_a_scan_that_is_none_is_told_before_ray_and_torch_are_loaded(tmp_path: Path) -> None:
    listed = write_listed(tmp_path / "scans")
    (tmp_path / "scans" / "p2-1.png").write_bytes(b"no picture")
    for command in (
        ["learner_ray.cohort", "check", str(listed)],
        ["learner_ray.sweep", "lus", "--data", str(listed)],
    ):
        options = ["--modality", "lus"] if "check" in command else ["--out", str(tmp_path / "out")]
        code, loaded = packages(*command, "--folds", "2", *options)
        assert code == "2" and "av" in loaded and not loaded & (HEAVY - FOR_TABLES - FOR_HEADERS)


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "train.speed=2"],
        ["--arms", "mse,best"],
        ["--data", "nowhere"],
        ["--folds", "1"],
        ["--out", "s3://bucket"],
        ["--address", "127.0.0.1:1"],
    ],
)
def test_a_mistake_is_answered_before_ray_and_torch_are_loaded(manifest: Path, options: list[str]) -> None:
    code, loaded = packages("learner_ray.sweep", "lus", "--data", str(manifest), *options)
    assert code == "2" and not loaded & (HEAVY - FOR_TABLES - FOR_HEADERS)
