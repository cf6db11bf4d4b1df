"""slurm.sh: its linter, and a job for real, with Slurm's own commands stood in for."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.files import CLUSTER

SCRIPTS = sorted(CLUSTER.glob("*.sh"))

# Runs the job's one task on this machine, as the first of one node.
SRUN = '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nSLURM_NODEID=0 exec "$@"\n'
SCONTROL = f"#!/bin/bash\necho {socket.gethostname()}\n"
# Stands where the sweep does, and tells what it finds.
SWEEP = """
import json, os, sys, ray
ray.init(address="auto", log_to_driver=False)
found = {key: ray.cluster_resources().get(key) for key in ("driver", "CPU")}
mode = os.stat(os.environ["RAY_AUTH_TOKEN_PATH"]).st_mode & 0o777
found |= {"arguments": sys.argv[1:], "token_mode": mode, "nodes": len(ray.nodes())}
found |= {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED")}
print("FOUND " + json.dumps(found))
"""


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="needs shellcheck (apt-get install shellcheck)"
)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_settings_that_keep_a_job_to_itself():
    text = (CLUSTER / "slurm.sh").read_text()
    assert "export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0" in text
    assert "--dashboard-host=127.0.0.1" in text and "umask 077" in text
    directives = set(re.findall(r"^#SBATCH (--[a-z-]+)", text, re.MULTILINE))
    # `ray stop` at the job's end would take another job's Ray on a shared node with it.
    assert {"--exclusive", "--requeue", "--time", "--gpus-per-node"} <= directives


def test_without_the_project_it_says_how_to_install(tmp_path):
    environment = {**os.environ, "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", CLUSTER / "slurm.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "install the project first" in done.stderr


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2")
def test_a_job_of_one_node_runs_the_sweep_on_a_guarded_ray(tmp_path):
    """In process and network namespaces of its own: `ray stop` ends every Ray process it sees."""
    stubs, submit, home = (tmp_path / name for name in ("bin", "submit", "home"))
    for folder in (stubs, submit / "learner_ray", home):
        folder.mkdir(parents=True)
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)
    (submit / ".venv").symlink_to(Path(sys.prefix))
    (submit / "learner_ray" / "__init__.py").touch()
    (submit / "learner_ray" / "sweep.py").write_text(SWEEP)
    environment = {
        **os.environ,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "HOME": str(home),
        "SLURM_SUBMIT_DIR": str(submit),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": socket.gethostname(),
        "SLURM_JOB_NUM_NODES": "1",
    }
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "bash", "-c"]
    job = f'ip link set lo up && exec bash {CLUSTER / "slurm.sh"} lus --out "a folder"'
    done = subprocess.run(
        [*apart, job], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.split("FOUND ")[1].splitlines()[0])
    assert found["arguments"] == ["lus", "--out", "a folder"]
    assert found["driver"] == 100 and found["nodes"] == 1 and found["CPU"] >= 1
    assert found["token_mode"] == 0o600
    assert (found["RAY_AUTH_MODE"], found["RAY_USAGE_STATS_ENABLED"]) == ("token", "0")
    assert list((home / ".ray").glob("token-*")) == []
    assert not Path(f"/tmp/learner-ray-{environment['SLURM_JOB_ID']}").exists()
