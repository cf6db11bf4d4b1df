"""A sweep over three hosts brought up by `ray up cluster/onprem.yaml`, one of which is lost in the middle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.cluster.files import CLUSTER, load

ROOT = CLUSTER.parent
HOSTS = ["10.213.77.11", "10.213.77.12", "10.213.77.13"]
ARMS = ("mse", "contrastive", "majority")
SIZE = "--epochs 2 --trials 1 --folds 2 --repeats 1 --seeds 1"
SWEEP = f"cd ~/learner_ray && python -m learner_ray.sweep lus --arms {','.join(ARMS)} {SIZE}"
ALIVE = "import ray; ray.init(log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
LOCKS = r"find /proc/[0-9]*/fd -lname '*/runs/*/.lock' -printf '%l\n' 2>/dev/null"
WATCH = f"while sleep 0.3; do {LOCKS}; done | awk '!seen[$0]++ {{print; fflush()}}'"
"""Prints the run whose lock a process of the host holds, once per run."""
MISSING = [
    name for name in ("ip", "/usr/sbin/sshd", "ssh-keygen", "rsync", "unshare") if not shutil.which(name)
]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]


def virtual_hosts(*arguments):
    subprocess.run(["bash", Path(__file__).with_name("virtual_hosts.sh"), *map(str, arguments)], check=True)


class Cluster:
    """`ray up` and `ray down` of the on-premise file for the virtual hosts, and a shell on each of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"virtual-hosts-{os.getpid()}"
        self.file = folder / "onprem.yaml"
        self.file.write_text(yaml.safe_dump(self.configuration()))
        self.environment = self.laptop()

    def configuration(self):
        """onprem.yaml for these hosts, which borrow this checkout's environment, but run their own copy."""
        config = load("onprem.yaml")
        config["cluster_name"] = self.name
        config["provider"] |= {"head_ip": HOSTS[0], "worker_ips": HOSTS[1:]}
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.folder / "key")}
        borrowed = (
            r"cd ~/learner_ray/cluster && sed '/-m venv\|pip install/d' setup.sh >here.sh && bash here.sh"
        )
        config["setup_commands"] = [
            f"ln -sfn {shlex.quote(sys.prefix)} ~/learner_ray/.venv",
            borrowed,
            "echo 'export PYTHONPATH=$HOME/learner_ray' >>~/.bashrc",
        ]
        for key in ("head_start_ray_commands", "worker_start_ray_commands"):
            small = "ray start --num-cpus=1 --object-store-memory=150000000"
            config[key] = [command.replace("ray start", small) for command in config[key]]
        return config

    def laptop(self):
        """The environment of the one who types `ray up`: a home of its own, with a token."""
        home = self.folder / "laptop"
        (home / ".ray").mkdir(parents=True)
        (home / "tmp" / "ray").mkdir(parents=True)
        (home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
        own = {"HOME": home, "TMPDIR": home / "tmp", "RAY_TMPDIR": home / "tmp"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ray = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "PATH": path}
        return os.environ | {name: str(value) for name, value in own.items()} | ray

    def ray(self, verb):
        command = ["ray", verb, "--yes", str(self.file)]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ssh(self, host, line):
        """The command line that runs a line on a host, in the shell `ray exec` uses."""
        unasked = [
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ]
        shell = f"bash --login -i -c {shlex.quote(f'source ~/.bashrc; {line}')}"
        return ["ssh", *unasked, "-i", str(self.folder / "key"), f"root@{HOSTS[host]}", shell]

    def run(self, host, line):
        done = subprocess.run(self.ssh(host, line), capture_output=True, text=True, timeout=120, check=False)
        return done.stdout

    def python(self, host, code):
        return self.run(host, f"python -c {shlex.quote(code)}").strip()

    def open(self, host, line, output):
        """Starts a line on a host that goes on by itself, its output in a file."""
        with output.open("w") as text:
            return subprocess.Popen(self.ssh(host, line), stdin=subprocess.DEVNULL, stdout=text, stderr=text)

    def alive(self):
        return int(self.python(0, ALIVE) or 0)


def wait_until(happened, seconds, step=1.0):
    """Seconds until something is so."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {happened}"
        time.sleep(step)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    virtual_hosts("up", folder, len(HOSTS))
    cluster = Cluster(folder)
    try:
        start = time.monotonic()
        cluster.ray("up")
        wait_until(lambda: cluster.alive() == len(HOSTS), 120)
        print(f"\n{len(HOSTS)} hosts up {time.monotonic() - start:.0f} s after `ray up`")
        yield cluster
    finally:
        virtual_hosts("down", folder)
        for left in Path("/tmp").glob(f"ray_ssh_*/{hashlib.md5(cluster.name.encode()).hexdigest()[:10]}"):
            shutil.rmtree(left)


ANSWERS = """
import urllib.error, urllib.request
def status(host, token):
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://{host}:8265/api/jobs/", headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return "refused"
token = open("/home/ray/.ray/auth_token").read()
print(status("127.0.0.1", "guessed"), status("127.0.0.1", token), status("HEAD", token))
"""


def test_the_dashboard_asks_for_the_token_and_answers_the_head_alone(cluster):
    assert cluster.python(0, ANSWERS.replace("HEAD", HOSTS[0])) == "403 200 refused"
    assert cluster.python(1, ANSWERS.replace("127.0.0.1", HOSTS[0])) == "refused refused refused"


def test_a_job_without_the_token_is_refused(cluster):
    submit = "ray job submit --address http://127.0.0.1:8265 -- true"
    assert "succeeded" in cluster.run(0, submit)
    refused = cluster.run(0, f"RAY_AUTH_MODE=disabled {submit} 2>&1")
    assert "Authentication required" in refused and "succeeded" not in refused


def test_the_token_is_private_on_every_host(cluster):
    for host in range(len(HOSTS)):
        assert cluster.run(host, "stat -c %a ~/.ray ~/.ray/auth_token").split() == ["700", "600"]


def holders(watched):
    """The runs each host has held."""
    return [set(re.findall(r"runs/([0-9a-f]+)/", path.read_text())) for path in watched]


def progress(run):
    path = run / "progress.jsonl"
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()] if path.exists() else []


def comparable(folder):
    ledger = pd.read_parquet(folder / "ledger.parquet")
    return ledger.sort_values(["arm", "repeat", "fold", "seed", "pair"], ignore_index=True)


@pytest.fixture(scope="module")
def swept(cluster):
    """A sweep over three hosts, the last of which is pulled while it holds a run; what each host held."""
    results = cluster.folder / "results"
    watched = [cluster.folder / f"watched{host}.txt" for host in range(len(HOSTS))]
    watchers = [cluster.open(host, WATCH, path) for host, path in enumerate(watched)]
    start = time.monotonic()
    log = cluster.folder / "sweep.log"
    sweep = cluster.open(0, f"{SWEEP} --out {results / 'lus-phantom'}", log)
    try:
        wait_until(lambda: holders(watched)[-1] or sweep.poll() is not None, 300, step=0.3)
        assert sweep.poll() is None, log.read_text()
        (lost,) = holders(watched)[-1]
        epochs = len(progress(results / "runs" / lost))
        virtual_hosts("kill", cluster.folder, len(HOSTS))
        pulled = time.monotonic() - start
        code = sweep.wait(timeout=600)
    finally:
        for process in [sweep, *watchers]:
            process.kill()
    seconds = time.monotonic() - start
    print(
        f"host 3 pulled after {pulled:.0f} s, in epoch {epochs + 1} of {lost}; all done after {seconds:.0f} s"
    )
    print("runs per host:", [len(held) for held in holders(watched)])
    assert code == 0, log.read_text()
    return results, holders(watched), lost


def test_every_run_ends_though_a_host_is_lost(swept):
    results, held, lost = swept
    assert all(held), "a host had nothing to do"
    assert lost in held[0] | held[1], "the lost host's run was not taken up"
    runs = list((results / "runs").iterdir())
    assert {json.loads((run / "state.json").read_text())["state"] for run in runs} <= {"complete", "stopped"}
    ledger = comparable(results / "lus-phantom")
    assert set(ledger["arm"]) == set(ARMS) and ledger.groupby(["arm", "fold"]).ngroups == 2 * len(ARMS)


def test_no_epoch_is_written_twice(swept):
    results, _, _ = swept
    for run in (results / "runs").iterdir():
        epochs = progress(run)
        assert epochs == list(range(1, len(epochs) + 1))


def test_the_ledger_is_that_of_one_host(cluster, swept):
    results, _, _ = swept
    alone = cluster.folder / "alone"
    log = cluster.folder / "alone.log"
    code = cluster.open(0, f"{SWEEP} --address local --out {alone / 'lus-phantom'}", log).wait(600)
    assert code == 0, log.read_text()
    pd.testing.assert_frame_equal(
        comparable(alone / "lus-phantom"), comparable(results / "lus-phantom"), check_exact=True
    )


def test_after_ray_down_no_host_runs_ray(cluster):
    """On hosts of one's own the launcher stops the head alone; the others leave once they miss it."""
    cluster.ray("down")
    count = "pgrep -c 'raylet|gcs_server|ray::' || true"
    print("after ray down:", [cluster.run(host, count).strip() for host in (0, 1)])
    seconds = wait_until(lambda: all(cluster.run(host, count).strip() == "0" for host in (0, 1)), 150, step=5)
    print(f"no Ray process {seconds:.0f} s after `ray down`")
