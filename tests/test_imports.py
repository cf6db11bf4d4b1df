"""Nothing is imported in a circle, and the arrows between packages are those that the contracts allow."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.import_map import ROOT, arrows, circles, package_of


@pytest.mark.slow
def test_the_contracts_on_imports_are_kept() -> None:
    pytest.importorskip("importlinter", reason="is in the extra 'test'")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_packages_import_each_other() -> None:
    assert circles(arrows()) == []


def test_a_circle_is_found_in_however_many_steps() -> None:
    found = Counter({("a", "b"): 1, ("b", "c"): 1, ("c", "a"): 1, ("c", "d"): 1})
    assert circles(found) == [{"a", "b", "c"}]


def test_the_map_knows_packages_from_modules() -> None:
    assert package_of("learner_ray.run.spec") == "learner_ray.run"
    assert package_of("search_spaces.lus") == "search_spaces"
