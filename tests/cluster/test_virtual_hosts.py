"""A sweep over three hosts brought up by `ray up cluster/onprem.yaml`, one of which is lost in the middle."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from learner_ray.study.study import WITH_EARLIER_SCORE
from learner_ray.training.run import CHECKPOINT_SECONDS
from tests.cluster.files import CLUSTER, load
from tests.small_cohort import write_cohort

ROOT = CLUSTER.parent
HOSTS = ["10.213.77.11", "10.213.77.12", "10.213.77.13"]
ARMS = ("mse", "contrastive", "majority")
FOLDS = 2
TINY = "--profile laptop --set data.image_size=32 --set data.frames=2"
SWEEP = f"cd ~/learner_ray && python -m learner_ray.sweep lus {TINY} --folds {FOLDS}"
SEARCHED = f"--arms {','.join(ARMS)} --epochs 10 --trials 2 --parallel-trials 2"
"""Of so many epochs that a host can be pulled in the middle of a run."""
SMALL = f"lus {TINY} --arms mse,majority --epochs 1 --trials 0 --folds 2"
ALIVE = "import ray; ray.init(log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
MISSING = [
    name for name in ("ip", "/usr/sbin/sshd", "ssh-keygen", "rsync", "unshare") if not shutil.which(name)
]


def can_make_hosts():
    """Whether this machine lets root make namespaces and bridges: a container may not."""
    if os.geteuid() or MISSING:
        return False
    lines = ("unshare --net --pid --fork true", "ip link add lrprobe type bridge", "ip link del lrprobe")
    return not any(
        subprocess.run(line.split(), capture_output=True, check=False).returncode for line in lines
    )


pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.skipif(not can_make_hosts(), reason="this machine lets nobody make network namespaces"),
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
        self.data = folder / "cohort" / "manifest.csv"
        """Twelve patients, which all hosts see."""

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
        # After `ray down` the workers wait a minute for their head before they leave; here, less.
        hurried = "RAY_gcs_rpc_server_reconnect_timeout_s=3 ray start"
        key = "worker_start_ray_commands"
        config[key] = [command.replace("ray start", hurried) for command in config[key]]
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

    def sockets(self):
        """Where the launcher keeps its ssh connections; it never removes the folder."""
        return list(Path("/tmp").glob(f"ray_ssh_*/{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"))

    def ray(self, verb):
        command = ["ray", verb, "--yes", str(self.file)]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ssh(self, host, line):
        """The command line that runs a line on a host, in the shell `ray exec` uses."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        unasked = [word for option in options for word in ("-o", option)]
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


def wait_until(happened, seconds, step=0.5):
    """Seconds until something is so."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {happened}"
        time.sleep(step)
    return time.monotonic() - start


def left_behind(cluster, spaces, folder):
    """What of the hosts is still on this machine."""
    links = [path.name for path in Path("/sys/class/net").glob("lr*")]
    names = [path.name for path in Path("/run/netns").glob("lrhost*")]
    keys = [path.name for path in folder.glob("key*")]
    stale = [str(path) for path in Path("/tmp/ray").glob("ray_current_cluster")] + cluster.sockets()
    running = [line for line, space in processes() if space not in spaces or str(folder) in line]
    return links + names + keys + stale + running


def processes():
    """Every process: its command line and its PID namespace."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (path / "cmdline").read_text().replace("\0", " "), os.readlink(path / "ns" / "pid")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    spaces = {space for _, space in processes()}
    virtual_hosts("up", folder, len(HOSTS))
    cluster = Cluster(folder)
    write_cohort(cluster.data.parent)
    try:
        start = time.monotonic()
        cluster.ray("up")
        assert cluster.sockets(), "the launcher keeps its ssh connections elsewhere"
        wait_until(lambda: cluster.alive() == len(HOSTS), 240)
        print(f"\n{len(HOSTS)} hosts up {time.monotonic() - start:.0f} s after `ray up`")
        yield cluster
    finally:
        virtual_hosts("down", folder)
        for left in cluster.sockets():
            shutil.rmtree(left)
    wait_until(lambda: not left_behind(cluster, spaces, folder), 30)


ANSWERS = """
import urllib.error, urllib.request
from pathlib import Path
def status(host, token):
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://{host}:8265/api/jobs/", headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return "refused"
token = (Path.home() / ".ray" / "auth_token").read_text()
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


def on_laptop(cluster, *options, study=SMALL):
    """The sweep as typed on the laptop; it starts on the cluster."""
    command = [sys.executable, "-m", "learner_ray.sweep", *study.split(), "--cluster", str(cluster.file)]
    return subprocess.Popen(
        [*command, *map(str, options)],
        env=cluster.environment | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        cwd=cluster.folder / "laptop",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def small(cluster):
    """The results of a sweep that a laptop has submitted, left and found again; they are home, too."""
    there = cluster.folder / "shared" / "small"
    start = time.monotonic()
    left = on_laptop(cluster, "--data", cluster.data, "--out", there)
    said = next((line for line in left.stdout if line.startswith("Submitted")), "nothing was submitted")
    left.send_signal(signal.SIGINT)
    said += left.communicate(timeout=60)[0]
    assert left.returncode == 130 and "; it keeps running on the cluster." in said, said
    found = on_laptop(cluster, "--data", cluster.data, "--out", there)
    said = found.communicate(timeout=600)[0]
    assert found.returncode == 0 and said.startswith("Found"), said
    print(f"\nsubmitted, left, found again and home in {time.monotonic() - start:.0f} s")
    return there


def test_a_laptop_may_leave_its_sweep_and_find_it_again(cluster, small):
    home = cluster.folder / "laptop" / "results"
    assert (home / "small" / "ledger.parquet").read_bytes() == (small / "ledger.parquet").read_bytes()
    runs = set(pd.read_parquet(home / "small" / "ledger.parquet")["run_hash"])
    assert {path.parent.name for path in home.glob("runs/*/predictions.parquet")} == runs
    assert not list(home.rglob("*.pt"))


def test_what_only_the_head_can_see_is_refused(cluster):
    write_cohort(cluster.folder / "home1" / "cohort")
    data = cluster.run(0, "realpath ~/cohort/manifest.csv").strip()
    refused = on_laptop(cluster, "--data", data, "--out", Path(data).parent / "results" / "lus")
    said = refused.communicate(timeout=240)[0]
    assert refused.returncode == 2, said
    for host in ("host2", "host3"):
        assert (
            f"{host} cannot see {data}" in said and f"{host} cannot see {Path(data).parent}/results" in said
        )
    assert "host1 cannot" not in said


OWN = """
from dataclasses import replace
from learner_ray.losses.base import Loss
from learner_ray.study.study import Arm
from search_spaces.lus import STUDY as LUS

class Own(Loss):
    name = "own"
    def compute(self, batch):
        return batch.embeddings.new_zeros(())

arms = (LUS.arm("mse"), Arm(name="own", label="Own loss", edits={"loss.name": "own"}))
STUDY = replace(LUS, name="own", arms=arms, default_arms=("mse", "own"))
"""


def test_a_study_file_of_ones_own_runs_there_with_its_own_loss(cluster):
    (cluster.folder / "laptop" / "own.py").write_text(OWN)
    there = cluster.folder / "shared" / "own"
    study = f"./own.py {TINY} --epochs 1 --trials 0 --folds 2"
    sent = on_laptop(cluster, "--data", cluster.data, "--out", there, study=study)
    said = sent.communicate(timeout=600)[0]
    assert sent.returncode == 0 and (there.parent / "studies" / "own.py").read_text() == OWN, said
    ledger = pd.read_parquet(cluster.folder / "laptop" / "results" / "own" / "ledger.parquet")
    assert {"mse", "own"} <= set(ledger["arm"])


def holder(run):
    """The host that trains a run, or has ended it; empty where none has yet."""
    lock = run / ".lock"
    return (lock.read_text().split() or [""])[0] if lock.exists() else ""


def progress(run):
    path = run / "progress.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def in_training(results, host):
    """A run that the host is training and has finished an epoch of."""
    runs = [run for run in (results / "runs").glob("*") if holder(run) == host]
    return next((run for run in runs if progress(run) and not (run / "state.json").exists()), None)


def comparable(folder):
    ledger = pd.read_parquet(folder / "ledger.parquet")
    return ledger.sort_values(["arm", "repeat", "fold", "seed", "pair"], ignore_index=True)


@dataclass(frozen=True)
class Swept:
    """A sweep over three hosts, the last of which was pulled while it held a run."""

    results: Path
    held: Counter[str]
    """Runs ended, by host."""
    lost: Path
    """The run that was being trained on the pulled host."""
    before: list[dict[str, Any]]
    """Its progress at that moment."""

    @property
    def repeated(self):
        """The finished epochs that were trained again: how long an epoch took differs every time."""
        after = progress(self.lost)
        return [old for old, new in zip(self.before, after, strict=False) if old != new]


@pytest.fixture(scope="module")
def swept(cluster):
    results, log = cluster.folder / "results", cluster.folder / "sweep.log"
    start = time.monotonic()
    sweep = cluster.open(0, f"{SWEEP} {SEARCHED} --data {cluster.data} --out {results / 'lus'}", log)
    try:
        wait_until(lambda: in_training(results, "host3") or sweep.poll() is not None, 400, step=0.02)
        assert sweep.poll() is None, log.read_text()
        lost = in_training(results, "host3")
        virtual_hosts("kill", cluster.folder, len(HOSTS))
        pulled, before = time.monotonic() - start, progress(lost)
        code = sweep.wait(timeout=600)
    finally:
        sweep.kill()
    assert code == 0, log.read_text()
    seconds = time.monotonic() - start
    held = Counter(holder(run) for run in (results / "runs").iterdir())
    swept = Swept(results, held, lost, before)
    print(f"\nall done {seconds:.0f} s after the sweep's start; runs ended by {dict(sorted(held.items()))}")
    print(
        f"host3 pulled after {pulled:.0f} s, in epoch {len(before) + 1} of its run; "
        f"{len(swept.repeated)} finished epochs repeated"
    )
    return swept


def test_every_run_ends_though_a_host_is_lost(swept):
    assert holder(swept.lost) in ("host1", "host2"), "the lost host's run was not taken up"
    assert swept.held["host1"] and swept.held["host2"], "a host had nothing to do"
    runs = (swept.results / "runs").iterdir()
    assert {json.loads((run / "state.json").read_text())["state"] for run in runs} <= {"complete", "stopped"}
    ledger = comparable(swept.results / "lus")
    arms = ledger["arm"].str.removesuffix(WITH_EARLIER_SCORE)
    assert set(arms) == set(ARMS) and ledger.groupby([arms, "fold"]).ngroups == FOLDS * len(ARMS)


def test_a_lost_host_costs_an_epoch_or_a_checkpoints_interval(swept):
    assert sum(row["seconds/train"] for row in swept.repeated[1:]) <= CHECKPOINT_SECONDS
    for run in (swept.results / "runs").iterdir():
        epochs = [row["epoch"] for row in progress(run)]
        assert epochs == list(range(1, len(epochs) + 1)), "an epoch is missing, or written twice"


def test_the_ledger_is_that_of_one_host(cluster, swept):
    alone = cluster.folder / "alone"
    log = cluster.folder / "alone.log"
    line = f"{SWEEP} {SEARCHED} --data {cluster.data} --address local --out {alone / 'lus'}"
    assert cluster.open(0, line, log).wait(600) == 0, log.read_text()
    pd.testing.assert_frame_equal(
        comparable(alone / "lus"), comparable(swept.results / "lus"), check_exact=True
    )


def test_a_run_on_two_hosts_is_that_of_two_ranks_on_one(cluster, swept):
    """A CPU on each of the two hosts that are left: a run of two ranks must take both."""
    line = f"{SWEEP} --arms mse --epochs 1 --trials 0 --data {cluster.data} --set train.precision=float64"
    folders = []
    for name, options in (("across", "--max-concurrent 1"), ("one-host", "--address local")):
        folders.append(cluster.folder / name / "lus")
        log = cluster.folder / f"{name}.log"
        start = time.monotonic()
        sweep = cluster.open(0, f"{line} --devices-per-trial 2 {options} --out {folders[-1]}", log)
        assert sweep.wait(600) == 0, log.read_text()
        print(f"two ranks, {name}: {time.monotonic() - start:.0f} s")
    across, one = (comparable(folder) for folder in folders)
    probabilities = ["p_worse", "p_same", "p_better"]
    difference = (across[probabilities] - one[probabilities]).abs().to_numpy().max()
    print(f"largest difference of a probability: {difference:.1e}")
    assert difference <= 1e-9


def test_after_ray_down_no_host_runs_ray(cluster):
    """On hosts of one's own the launcher stops the head alone; the others leave once they miss it.

    Two agents of Ray's, which hold no device and run nothing for anybody, were seen to leave a minute later.
    """
    agents = "ray::(DashboardAgent|RuntimeEnvAgent)"
    line = f"ps -eo args | grep -E '[r]aylet/raylet|[g]cs_server|^ray::' | grep -cvE '{agents}' || true"
    counts = lambda: [int(cluster.run(host, line)) for host in (0, 1)]  # noqa: E731
    assert all(counts())
    cluster.ray("down")
    seconds = wait_until(lambda: not any(counts()), 150)
    print(f"no Ray process {seconds:.0f} s after `ray down`")
