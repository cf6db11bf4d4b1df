"""Every test is run by exactly one command, and ``make`` finds a Python that is new enough."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

ROOT = Path(__file__).parents[1]


def chooses(rule: str, has: dict[str, bool]) -> bool:
    return Expression.compile(rule).evaluate(lambda marker, **_: has[marker])


def test_every_test_is_in_exactly_one_command_of_which_ci_leaves_out_slurms(
    pytestconfig: pytest.Config,
) -> None:
    rules = dict(re.findall(r'^(test[a-z-]*): .*\n\t.* -m "(.*)"$', (ROOT / "Makefile").read_text(), re.M))
    assert rules.keys() == {"test", "test-fast", "test-cluster", "test-slurm", "test-long"}
    ci = (ROOT / ".ci" / "run").read_text()
    assert {name for name in rules if f"make {name}\n" not in ci} == {"test-fast", "test-slurm"}
    markers = [line.partition(":")[0] for line in pytestconfig.getini("markers")]
    named = [name for name in markers if any(name in rule.split() for rule in rules.values())]
    for values in product((False, True), repeat=len(named)):
        has = dict(zip(named, values, strict=True))
        chosen = {name: chooses(rule, has) for name, rule in rules.items()}
        assert sum(chosen[name] for name in rules.keys() - {"test-fast"}) == 1, has
        assert chosen["test"] or not chosen["test-fast"]


def make(folder: Path, versions: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """``make`` of the virtual environment where there are only these Pythons, which say their versions and
    make nothing."""
    (folder / "bin").mkdir()
    for name, version in versions.items():
        fits = "0" if version in ("3.11", "3.12", "3.13") else "1"
        answers = f"--version) echo Python {version} ;; -m) echo {name} made it ;; -c) exit {fits} ;;"
        (folder / "bin" / name).write_text(f"#!/bin/sh\ncase $1 in {answers} esac\n")
        (folder / "bin" / name).chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    command = [str(shutil.which("make")), ".venv/.installed", *words]
    environment = {"PATH": str(folder / "bin")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("versions", "used"),
    [
        ({"python3": "3.11", "python3.13": "3.13"}, "python3"),
        ({"python3": "3.9", "python3.12": "3.12"}, "python3.12"),
        ({"python3": "3.14", "python3.11": "3.11", "python3.13": "3.13"}, "python3.13"),
    ],
)
def test_make_takes_the_first_python_that_fits(tmp_path: Path, versions: dict[str, str], used: str) -> None:
    assert f"{used} made it" in make(tmp_path, versions).stdout


@pytest.mark.parametrize("words", [(), ("PYTHON=python3",)])
def test_make_says_which_pythons_fit_where_there_is_none(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = make(tmp_path, {"python3": "3.9"}, *words)
    first = "learner_ray needs Python 3.11, 3.12 or 3.13, and python3 here is Python 3.9: install one of them"
    assert done.returncode == 2 and done.stderr.startswith(first)


def test_make_takes_the_pythons_that_the_package_claims() -> None:
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "Makefile").read_text()
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()
