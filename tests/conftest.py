"""What tests of several rooms share."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from learner_ray.imaging.decoder_pool import running
from learner_ray.run.provenance import git_sha
from tests.once import once, run_folder
from tests.ray_head import end_shared, shared_address
from tests.small_cohort import write_cohort
from tests.small_sweep import sweep

# Workers of pytest-xdist share the cores, and threads of one would wait for the other's. PyTorch reads it
# when it is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("learner_ray", deadline=None)
hypothesis.settings.load_profile("learner_ray")


@pytest.fixture(scope="session", autouse=True)
def own_environment(pytestconfig: pytest.Config) -> Iterator[None]:
    """Keeps pixel caches and phantoms of tests out of the user's, and the user's cluster out of tests."""
    before = dict(os.environ)
    os.environ["LEARNER_RAY_CACHE"] = str(run_folder(pytestconfig) / "cache")
    # Ray asks only once per process whether it needs a token: tests of tokens have processes of their own.
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ.pop("RAY_ADDRESS", None)
    with tempfile.TemporaryDirectory(
        prefix="lr", ignore_cleanup_errors=True
    ) as short:  # below it lie sockets, whose paths must be short
        os.environ["RAY_TMPDIR"] = short
        yield
    os.environ.clear()
    os.environ |= before


@pytest.fixture(scope="session", autouse=True)
def kept_decoders() -> Iterator[None]:
    """Decoders stay from one test to the next, since they take seconds to load PyTorch."""
    with running():
        yield


@pytest.fixture(scope="session")
def manifest(pytestconfig: pytest.Config) -> Path:
    """The manifest of a small lung-ultrasound cohort; read only."""
    return once(run_folder(pytestconfig), "cohort", write_cohort) / "manifest.csv"


@pytest.fixture(scope="session")
def ray_address(pytestconfig: pytest.Config) -> str:
    """The one Ray cluster of this run of tests."""
    owner = os.getppid() if hasattr(pytestconfig, "workerinput") else os.getpid()
    return shared_address(run_folder(pytestconfig), owner)


@pytest.fixture(scope="session")
def joined(ray_address: str) -> Iterator[None]:
    """This process has joined the run's cluster, and every sweep that is started in it stays there."""
    import ray

    ray.init(ray_address, namespace=f"tests-{os.getpid()}", logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def finished(pytestconfig: pytest.Config, manifest: Path, joined: None) -> Path:
    """The results folder of a small study, really trained; read only."""

    def train(root: Path) -> None:
        assert sweep(manifest, root / "lus", "--max-concurrent", "2") == 0

    return once(run_folder(pytestconfig), "finished", train) / "lus"


@pytest.fixture
def formula_runs(joined: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps of this process have runs that take milliseconds."""
    from learner_ray.engine import run_plan
    from tests.formula_runs import use_formula_runs

    monkeypatch.setattr(run_plan, "run_study", run_plan.run_study)  # as it was, afterwards
    use_formula_runs()


MINUTES = os.environ.get("TEST_MINUTES", "")
"""After these no further test is begun: a slow machine would not end within CI's time."""
_BEGUN = time.monotonic()

TAKES_LONGEST_FIRST = ("ray", "slow")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take longest are handed out first, so that no worker ends long before the others."""

    def rank(item: pytest.Item) -> int:
        return next((i for i, name in enumerate(TAKES_LONGEST_FIRST) if item.get_closest_marker(name)), 9)

    items.sort(key=rank)
    if MINUTES:  # another commit begins with another test, so that none is always the one left over
        first = int(git_sha().rstrip("+") or "0", 16) % max(len(items), 1)
        items[:] = items[first:] + items[:first]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what no time is left for."""
    if MINUTES and time.monotonic() - _BEGUN > 60 * float(MINUTES):
        pytest.skip(f"the {MINUTES} minutes of TEST_MINUTES are over")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends what all workers shared, once all are done."""
    if not hasattr(session.config, "workerinput"):
        end_shared(run_folder(session.config))
