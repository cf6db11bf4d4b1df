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

from cluster import slurm_job
from tests.cluster.files import CLUSTER

SCRIPTS = sorted(CLUSTER.glob("*.sh"))

# Runs the job's one task on this machine, as the first of one node.
SRUN = '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n'
SCONTROL = f"#!/bin/bash\necho {socket.gethostname()}\n"
# Stands where the sweep does, and tells what it finds.
SWEEP = """
import json, os, sys, ray
ray.init(address="auto", log_to_driver=False)
found = {key: ray.cluster_resources().get(key) for key in ("driver", "CPU")}
mode = os.stat(os.environ["RAY_AUTH_TOKEN_PATH"]).st_mode & 0o777
found |= {"arguments": sys.argv[1:], "token_mode": mode, "nodes": len(ray.nodes())}
found["addresses"] = [node["NodeManagerAddress"] for node in ray.nodes()]
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


def test_a_job_takes_what_it_asks_for_and_may_be_requeued():
    directives = re.findall(r"^#SBATCH (--[a-z-]+)", (CLUSTER / "slurm.sh").read_text(), re.MULTILINE)
    assert {"--requeue", "--signal", "--time", "--gpus-per-node", "--cpus-per-task"} <= set(directives)
    assert "--exclusive" not in directives


def submitted(folder, *words, **environment):
    """slurm.sh as Slurm runs it on a job's first node, in a folder."""
    environment = {**os.environ, "SLURM_SUBMIT_DIR": str(folder), **environment}
    command = ["bash", str(CLUSTER / "slurm.sh"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def shell_file(folder, python):
    """One that makes a Python that of the job, as ``module load`` and ``conda activate`` do."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    (folder / "env.sh").write_text(f"PATH={folder}/bin:$PATH\n")
    return str(folder / "env.sh")


def test_the_environment_is_that_of_a_shell_file_of_ones_own(tmp_path):
    said = f"{sys.executable} -c 'import sys; print(sys.argv)'"
    done = submitted(tmp_path, "lus", "--out", "a folder", LEARNER_RAY_ENV=shell_file(tmp_path, said))
    assert done.stdout.endswith("['-c', '-m', 'cluster.slurm_job', 'lus', '--out', 'a folder']\n")


@pytest.mark.parametrize(
    ("code", "state", "restarts", "signalled", "again"),
    [
        (1, "RUNNING", 0, False, True),
        (1, "RUNNING", 4, False, True),
        (1, "RUNNING", 5, False, False),
        (143, "RUNNING", 0, True, True),
        (143, "CANCELLED", 0, True, False),
        (143, "RUNNING", 0, False, False),
        (0, "RUNNING", 0, True, False),
        (2, "RUNNING", 0, False, False),
        (3, "RUNNING", 0, False, False),
    ],
)
def test_a_job_is_requeued_for_a_fault_of_the_place_or_want_of_time_five_times(
    tmp_path, monkeypatch, code, state, restarts, signalled, again
):
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho {state}\n")
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    for name in ("squeue", "scontrol"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    slurm_job.requeue("7", code, signalled=signalled)
    asked = (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    assert asked == ("requeue 7\n" if again else "")


def test_without_the_project_it_says_how_to_install(tmp_path):
    done = submitted(tmp_path, LEARNER_RAY_ENV=shell_file(tmp_path, "false"))
    assert done.returncode == 2 and "make .venv" in done.stderr and "LEARNER_RAY_ENV" in done.stderr


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
    (submit / "cluster").symlink_to(CLUSTER)
    (submit / "learner_ray" / "__init__.py").touch()
    (submit / "learner_ray" / "sweep.py").write_text(SWEEP)
    environment = {
        **os.environ,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "HOME": str(home),
        "SLURM_SUBMIT_DIR": str(submit),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": socket.gethostname(),
        "SLURMD_NODENAME": socket.gethostname(),
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
    assert found["addresses"] == ["127.0.0.1"], "one node alone needs no network"
    assert list((home / ".ray").glob("token-*")) == []
    assert not Path(f"/tmp/learner-ray-{environment['SLURM_JOB_ID']}").exists()
