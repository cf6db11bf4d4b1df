"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.small_cohort import write_cohort

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("learner_ray", deadline=None)
hypothesis.settings.load_profile("learner_ray")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps pixel caches and phantoms of tests out of the user's."""
    before = os.environ.get("LEARNER_RAY_CACHE")
    os.environ["LEARNER_RAY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("LEARNER_RAY_CACHE")
    if before is not None:
        os.environ["LEARNER_RAY_CACHE"] = before


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a small lung-ultrasound cohort; read only."""
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests start Ray, which wants the machine for itself: one worker runs them, one after the other."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group("slow"))
