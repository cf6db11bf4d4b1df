"""`ray up` installs the project on a host that has nothing of it, offline, from a folder of wheels."""

from __future__ import annotations

import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.cluster.files import load
from tests.cluster.hosts import HOSTS, NEEDS_HOSTS, ROOT, TINY, Cluster

pytestmark = NEEDS_HOSTS

WHERE = "import learner_ray, sys; print(learner_ray.__file__, sys.prefix)"


@pytest.fixture(scope="module")
def wheelhouse(cluster):
    """The folder that cluster/README.md says how to make."""
    folder = cluster.folder / "wheelhouse"
    start = time.monotonic()
    words = ["wheel", "--quiet", "--constraint", "constraints.txt", "--wheel-dir", str(folder), "."]
    subprocess.run([sys.executable, "-m", "pip", *words], cwd=ROOT, check=True)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    print(f"\n{len(list(folder.iterdir()))} wheels, {size:.0f} MiB, in {time.monotonic() - start:.0f} s")
    return folder


@pytest.fixture(scope="module")
def installed(cluster, wheelhouse):
    """A cluster of one host, on which the file's own commands have installed the project."""
    offline = f"export PIP_NO_INDEX=1 PIP_FIND_LINKS={wheelhouse}; "
    setup = [offline + line for line in load("onprem.yaml")["setup_commands"]]
    own = Cluster(cluster.folder, "fourth", (HOSTS,), setup)
    with own.up() as seconds:
        print(f"\ninstalled and up {seconds:.0f} s after `ray up`")
        yield own


def test_the_package_is_the_hosts_own(installed):
    file, prefix = installed.python(HOSTS, WHERE).split()
    assert prefix == "/run/ray/learner_ray/.venv" and file.startswith(f"{prefix}/lib/")


def test_it_has_the_pinned_versions(installed):
    wanted = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    found = dict(line.split("==") for line in installed.run(HOSTS, "pip freeze").split() if "==" in line)
    assert {"ray", "torch", "optuna"} <= set(found)
    assert {name: found[name].partition("+")[0] for name in found if name in wanted} == {
        name: wanted[name] for name in found if name in wanted
    }


def test_a_sweep_runs_there(installed):
    out, log = installed.folder / "fourth-results" / "lus", installed.folder / "fourth.log"
    line = f"python -m learner_ray.sweep lus {TINY} --arms mse,majority --epochs 1 --trials 0 --folds 2"
    assert installed.open(HOSTS, f"{line} --data {installed.data} --out {out}", log).wait(400) == 0, (
        log.read_text()
    )
    assert {"mse", "majority"} <= set(pd.read_parquet(out / "ledger.parquet")["arm"])
