"""A sweep in a Slurm job: ``slurm.sh`` becomes this on the job's first node.

It starts Ray on every node of the job, runs the sweep, ends Ray, and has Slurm run the job again where that
may help: after exit code 1, and when the job's time is nearly over.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from cluster.slurm_node import END_S, HEAD_S, free_ports, open_files
from learner_ray.core.files import write_private

MOST_REQUEUES = 5
UNFINISHED, MISTAKE, TERMINATED = 1, 2, 128 + signal.SIGTERM


class Job:
    """The Slurm job that this process runs in."""

    def __init__(self) -> None:
        self.id = os.environ["SLURM_JOB_ID"]
        self.nodes = _said("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
        self.told = False
        """Whether Slurm has said that the time is nearly over, or that the job shall end."""
        self._sweep: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.told = True
        # Of a cancelled job Slurm signals all processes itself, Ray's too: the sweep's second signal has it
        # end at once, since there is nothing to wait for.
        if self._sweep is not None:
            self._sweep.terminate()

    def address(self) -> str:
        """HOST:PORT for the head of Ray, on this node. With one node alone nothing listens on the network.

        A node's own name may be that of its loopback (127.0.1.1 in ``/etc/hosts``), so the address counts
        from which another node of the job is reached.
        """
        host = "127.0.0.1"
        if len(self.nodes) > 1:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
                towards.connect((node_address(self.nodes[-1]), 9))  # sends nothing
                host = towards.getsockname()[0]
        return f"{host}:{free_ports(1)[0]}"

    def sweep(
        self, arguments: Sequence[str], environment: dict[str, str], head: subprocess.Popen[bytes]
    ) -> int:
        """Runs the sweep and returns its exit code: 1 or 143 where it was ended because Ray's head had gone,
        for which it would wait in vain. What its runs have written stays.

        Args:
            arguments: of the sweep.
            environment: variables for the sweep alone.
            head: the step in which Ray's head runs.
        """
        command = [sys.executable, "-m", "learner_ray.sweep", *arguments]
        self._sweep = subprocess.Popen(command, env=os.environ | environment)
        if self.told:
            self._sweep.terminate()
        while head.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                return _exit_code(self._sweep.wait(timeout=0.5))
        try:
            return _exit_code(self._sweep.wait(timeout=END_S))
        except subprocess.TimeoutExpired:
            self._sweep.kill()
            self._sweep.wait()
        print("Ray has ended, and the sweep with it: the same sbatch line goes on", flush=True)
        return TERMINATED if self.told else UNFINISHED


def _exit_code(returned: int) -> int:
    """As a shell has it, of what Python says of a process."""
    return returned if returned >= 0 else 128 - returned


def requeue(job: str, code: int, *, signalled: bool) -> None:
    """Has Slurm run a job again where that may help: its sweep is unfinished for a fault of the place, or for
    want of time.

    Args:
        job: its id.
        code: the sweep's exit code.
        signalled: whether Slurm has signalled the job. It does so for a job that is cancelled, too.
    """
    if code != UNFINISHED and not (signalled and code == TERMINATED):
        return
    if _said("squeue", "--noheader", "--jobs", job, "--format", "%T").strip() != "RUNNING":
        return
    if int(os.environ.get("SLURM_RESTART_COUNT", "0")) >= MOST_REQUEUES:
        print(f"requeued {MOST_REQUEUES} times: the same sbatch line goes on", flush=True)
        return
    print("unfinished: Slurm runs this job again", flush=True)
    subprocess.run(["scontrol", "requeue", job], check=False)


def node_address(node: str) -> str:
    """The address by which Slurm reaches a node."""
    words = _said("scontrol", "show", "node", "--oneliner", node).split()
    named = dict(word.split("=", 1) for word in words if "=" in word)
    return socket.gethostbyname(named.get("NodeAddr", node))


def _said(*command: str) -> str:
    """What one of Slurm's commands prints; empty where it fails."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    return ""


@contextmanager
def private_token(job: str) -> Iterator[Path]:
    """A file with a token of this job's own, so that no other user of these nodes can speak to its Ray."""
    path = Path.home() / ".ray" / f"token-{job}"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        write_private(path, secrets.token_hex(32))
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def ray_steps() -> Iterator[list[subprocess.Popen[bytes]]]:
    """The steps of the job that run Ray, as processes of ``srun``; each ends with its standard input."""
    steps: list[subprocess.Popen[bytes]] = []
    try:
        yield steps
    finally:
        for step in steps:
            assert step.stdin is not None
            step.stdin.close()
        until = time.monotonic() + 2 * END_S + 2
        for step in steps:
            with suppress(subprocess.TimeoutExpired):
                step.wait(timeout=max(0.0, until - time.monotonic()))
            step.kill()
            step.wait()


def start_ray(nodes: Sequence[str], address: str, *, head: bool = False) -> subprocess.Popen[bytes]:
    """Starts Ray on some of the job's nodes.

    Args:
        nodes: their names.
        address: HOST:PORT of the head.
        head: whether the one node is the head.
    """
    command = ["srun", f"--nodelist={','.join(nodes)}", f"--nodes={len(nodes)}", f"--ntasks={len(nodes)}"]
    command += ["--ntasks-per-node=1", "--export=ALL"]
    command += ["--kill-on-bad-exit=0", "--wait=0"]  # a node that is lost must not take the others along
    if "SLURM_CPUS_PER_TASK" in os.environ:  # since Slurm 22.05 steps do not inherit it
        command.append(f"--cpus-per-task={os.environ['SLURM_CPUS_PER_TASK']}")
    command += [sys.executable, "-m", "cluster.slurm_node", address, *(["--head"] if head else [])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def head_answers(job: Job, address: str, head: subprocess.Popen[bytes]) -> bool:
    """Whether the head of Ray listens, for which this waits five minutes, while its step runs and the job may
    go on."""
    host, port = address.rsplit(":", 1)
    until = time.monotonic() + HEAD_S
    while time.monotonic() < until and head.poll() is None and not job.told:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        time.sleep(0.5)
    return False


def main(arguments: list[str]) -> int:
    """Runs the sweep with these arguments on the job's nodes; returns its exit code, and 1 where Ray does not
    start."""
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        said = "no job arrays: one sweep spreads its runs over the nodes of one job, --nodes=N"
        print(said, file=sys.stderr)
        return MISTAKE
    open_files()
    job = Job()
    address = job.address()
    os.environ.update(RAY_AUTH_MODE="token", RAY_USAGE_STATS_ENABLED="0", PYTHONUNBUFFERED="1")
    os.environ["RAY_TMPDIR"] = f"/tmp/learner-ray-{job.id}"  # /tmp/ray may be another user's
    with private_token(job.id) as token, ray_steps() as steps:
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        first, *others = job.nodes
        steps.append(start_ray([first], address, head=True))
        if not head_answers(job, address, steps[0]):
            print(f"Ray does not run on {first}: nothing was trained", file=sys.stderr, flush=True)
            return UNFINISHED
        if others:
            steps.append(start_ray(others, address))
        joined = {"RAY_ADDRESS": address, "LEARNER_RAY_NODES": str(len(job.nodes))}
        code = job.sweep(arguments, joined, steps[0])
    requeue(job.id, code, signalled=job.told)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
