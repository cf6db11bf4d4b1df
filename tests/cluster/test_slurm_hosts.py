"""slurm.sh on a real Slurm of two nodes: `make test-slurm`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.files import CLUSTER
from tests.formula_runs import hold, release
from tests.small_cohort import write_cohort
from tests.small_sweep import ended, sweep_command

ROOT = CLUSTER.parent
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip", "unshare", "nsenter", "setpriv")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)} (slurm-wlm, munge, iproute2)"),
]

TINY = ["--profile", "laptop", "--folds", "2", "--trials", "1", "--epochs", "2", "--arms", "mse,majority"]
TINY += ["--set", "data.image_size=32", "--set", "data.frames=2"]
RUNS = 6
SWEEP = """
import sys
from learner_ray.cli.command import run_from_shell
from learner_ray.cli.sweep import main
if __name__ == "__main__":
    from tests import formula_runs
    formula_runs.use_formula_runs()
    run_from_shell(main)
"""
OTHERS = "mkdir -m 777 /tmp/o && cd /tmp/o && exec setpriv --reuid 65534 --clear-groups "
OTHERS += "--inh-caps +dac_override "
OTHERS += "--ambient-caps +dac_override env HOME=/tmp/o RAY_TMPDIR=/tmp/o {ray} start --head --num-cpus=1 "
OTHERS += "--object-store-memory=100000000"
AT_MOST_S = 900.0


@dataclass(frozen=True)
class Slurm:
    """A Slurm of two nodes, and a folder with the project that both see."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def data(self) -> Path:
        return self.folder / "cohort" / "manifest.csv"

    def hosts(self, *words: str) -> str:
        script = Path(__file__).with_name("slurm_hosts.sh")
        done = subprocess.run(
            ["bash", str(script), words[0], str(self.folder), *words[1:]],
            env={
                "PATH": PATH,
                "HOME": str(self.folder / "home"),
                "USER": "root",
                "LANG": "C.UTF-8",
                "RAY_worker_niceness": "0",  # else whatever runs beside the tests goes first
            },
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def on(self, node: int, line: str) -> str:
        """What a line of shell prints on a node."""
        return self.hosts("in", str(node), "bash", "-c", f"cd {self.project} && {line}")

    def submit(self, name: str, *options: str, study: Path | None = None, environment: str = "") -> Job:
        """A job of slurm.sh with the tiny study.

        Args:
            name: of the log.
            options: of sbatch; those after "--" are the sweep's.
            study: the results folder; by default one of the job's own.
            environment: variables set before sbatch.
        """
        cut = options.index("--") if "--" in options else len(options)
        out = study or self.folder / "results" / name / "lus"
        sweep = ["lus", "--data", str(self.data), "--out", str(out), *TINY, *options[cut + 1 :]]
        size = ["--nodes=2", "--cpus-per-task=2", f"--output={self.folder}/{name}.log"]
        line = " ".join(["sbatch", "--parsable", *size, *options[:cut], "cluster/slurm.sh", *sweep])
        return Job(self, self.on(1, f"{environment} {line}").strip(), self.folder / f"{name}.log", out)


@dataclass(frozen=True)
class Job:
    slurm: Slurm
    id: str
    log: Path
    out: Path

    def __getitem__(self, name: str) -> str:
        """What Slurm says of the job, such as its ``JobState``."""
        said = self.slurm.on(1, f"scontrol show job --oneliner {self.id}")
        found = re.search(rf"\b{name}=(\S*)", said)
        return found[1] if found else ""

    def wait(self, *states: str) -> None:
        until = time.monotonic() + AT_MOST_S
        while (state := self["JobState"]) not in states:
            assert time.monotonic() < until and state != "FAILED", f"{state}\n{self.said}"
            time.sleep(0.5)

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def await_runs(self, count: int) -> None:
        until = time.monotonic() + AT_MOST_S
        while ended(self.out.parent) < count:
            assert time.monotonic() < until, self.said
            time.sleep(0.2)

    @property
    def left(self) -> list[str]:
        """What is left of the job on the nodes and in the home."""
        processes = [self.slurm.on(node, "ps -eo uid,args") for node in (1, 2)]
        mine = [line for text in processes for line in text.splitlines() if f"learner-ray-{self.id}/" in line]
        folders = [self.slurm.on(node, f"ls -d /tmp/learner-ray-{self.id}").strip() for node in (1, 2)]
        tokens = [str(path) for path in (self.slurm.folder / "home" / ".ray").glob(f"token-{self.id}")]
        return mine + [folder for folder in folders if folder] + tokens


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    for name in ("learner_ray", "search_spaces", "analysis", "cluster", "tests"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, slurm.project / name, ignore=without)
    (slurm.project / "learner_ray" / "sweep.py").write_text(SWEEP)
    (slurm.project / ".venv").symlink_to(sys.prefix)
    (slurm.folder / "home").mkdir()
    write_cohort(slurm.data.parent)
    try:
        slurm.hosts("up", sys.prefix)
        until = time.monotonic() + 60
        while slurm.on(1, "sinfo --noheader --format %T").split() != ["idle"]:
            assert time.monotonic() < until, [path.read_text()[-1000:] for path in slurm.folder.glob("*.log")]
            time.sleep(0.5)
        yield slurm
    finally:
        slurm.hosts("down")


def loopback(slurm: Slurm, node: int) -> None:
    """Gives a node's own name the address that Debian gives it."""
    hosts, own = slurm.folder / f"hosts{node}", rf"\S+ slurm{node}$"
    text = (slurm.folder / "hosts").read_text()
    hosts.write_text(re.sub(own, f"127.0.1.1 slurm{node}", text, flags=re.MULTILINE))
    slurm.on(node, f"mount --bind {hosts} /etc/hosts")


@dataclass(frozen=True)
class Good:
    job: Job
    others: tuple[str, str]
    """Processes of the other user's Ray on the head's node, before and after the job."""


@pytest.fixture(scope="module")
def good(slurm: Slurm) -> Good:
    """A job to its good end, where nodes call themselves 127.0.1.1 and the head has another user's Ray."""
    for node in (1, 2):
        loopback(slurm, node)
    slurm.on(1, OTHERS.format(ray=Path(sys.prefix) / "bin" / "ray"))
    count = "ps -u 65534 -o pid= | wc -l"
    before = slurm.on(1, count)
    job = slurm.submit("good")
    job.wait("COMPLETED")
    after = slurm.on(1, count)
    for node in (1, 2):
        slurm.on(node, "umount /etc/hosts")
    return Good(job, (before.strip(), after.strip()))


def test_a_job_on_two_nodes_has_the_ledger_of_this_machine(good, tmp_path):
    job = good.job
    assert job["ExitCode"] == "0:0" and job["Restarts"] == "0", job.said
    assert "on the Ray cluster (up to 4 CPU)" in job.said
    local = [*TINY, "--address", "local"]
    here = sweep_command(job.slurm.data, tmp_path / "lus", *local, module="tests.formula_runs")
    there = os.environ | {"PYTHONPATH": str(job.slurm.project)}
    subprocess.run(here, cwd=job.slurm.project, env=there, check=True, capture_output=True)
    ledgers = [pd.read_parquet(out / "ledger.parquet") for out in (job.out, tmp_path / "lus")]
    pd.testing.assert_frame_equal(*ledgers)


def test_another_users_ray_on_the_node_is_left_alone(good):
    before, after = good.others
    assert int(before) > 5 and after == before


def test_the_job_ends_soon_after_its_sweep_and_leaves_nothing(good):
    job = good.job
    swept = max(path.stat().st_mtime for path in job.out.iterdir())
    idle = datetime.fromisoformat(job["EndTime"]).timestamp() - swept
    print(f"\nthe job ended {idle:.0f} s after its tables were written; {len(job.said.splitlines())} lines")
    assert idle < 15 and job.left == [] and len(job.said.splitlines()) < 40


def test_a_job_takes_what_it_asks_for_of_a_node(good):
    assert good.job["TresPerNode"] == "gres:gpu:1" and good.job["OverSubscribe"] == "OK"
    assert "cpu=4,node=2" in good.job["TRES"]


def test_where_ray_cannot_start_the_job_has_failed(slurm):
    job = slurm.submit("unstarted", environment="RAY_USE_TLS=1")  # and no certificates
    until = time.monotonic() + AT_MOST_S
    while job["JobState"] != "FAILED":
        assert time.monotonic() < until, job.said
        time.sleep(0.5)
    assert job["ExitCode"] == "1:0" and job["Restarts"] == "0"
    assert "Ray does not run here" in job.said and "nothing was trained" in job.said
    assert job.left == []


def test_a_mistake_is_not_requeued(slurm):
    job = slurm.submit("mistake", "--nodes=1", "--", "--set", "train.nonsense=1")
    until = time.monotonic() + AT_MOST_S
    while job["JobState"] != "FAILED":
        assert time.monotonic() < until, job.said
        time.sleep(0.5)
    assert job["ExitCode"] == "2:0" and job["Restarts"] == "0" and "nonsense" in job.said


def test_arrays_are_refused(slurm):
    job = slurm.submit("array", "--nodes=1", "--array=1-2")
    until = time.monotonic() + AT_MOST_S
    while "no job arrays" not in job.said:
        assert time.monotonic() < until
        time.sleep(0.5)


def test_scancel_ends_all_of_it_and_runs_nothing_again(slurm):
    hold(slurm.folder / "results" / "cancelled", 2)
    job = slurm.submit("cancelled")
    job.await_runs(2)
    before = job["Restarts"]  # of a busy machine's: a node that did not answer in time
    slurm.on(1, f"scancel {job.id}")
    start = time.monotonic()
    job.wait("CANCELLED")
    while job.left and time.monotonic() - start < 60:
        time.sleep(0.5)
    seconds = time.monotonic() - start
    print(f"\nnothing was left {seconds:.0f} s after scancel")
    assert job.left == [] and seconds < 25 and job["Restarts"] == before, job.said


def test_where_rays_head_dies_the_job_is_requeued_and_goes_on(slurm):
    root = slurm.folder / "results" / "headless"
    hold(root, 2)
    job = slurm.submit("headless", "--nodes=1")
    try:
        job.await_runs(2)
        slurm.on(1, f"pkill -9 -f 'gcs_server .*learner-ray-{job.id}/'")
        job.wait("PENDING", "REQUEUED")
    finally:
        release(root)
    job.wait("COMPLETED")
    assert job["Restarts"] == "1" and ended(root) == RUNS, job.said


def test_a_job_out_of_time_is_requeued_and_goes_on_after_a_slow_head(slurm):
    root = slurm.folder / "results" / "requeued"
    hold(root, 2)
    (slurm.folder / "slow").write_text("60\n")
    job = slurm.submit("requeued")
    try:
        job.await_runs(2)
        (slurm.folder / "slow").write_text("0\n")
        before = {path: path.stat().st_mtime_ns for path in root.glob("runs/*/state.json")}
        minutes = 4 + int(job["RunTime"].split(":")[1])
        slurm.on(1, f"scontrol update JobId={job.id} TimeLimit={minutes}")  # so the signal of 300 s is due
        job.wait("PENDING", "REQUEUED")
    finally:
        release(root)
    slurm.on(1, f"scontrol update JobId={job.id} TimeLimit=60")
    job.wait("COMPLETED")
    assert job["Restarts"] == "1" and job["ExitCode"] == "0:0", job.said
    assert before and all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert ended(root) == RUNS and "Slurm runs this job again" in job.said
