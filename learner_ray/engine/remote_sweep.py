"""A sweep typed on a laptop and run on a cluster: submitted to the head as a Ray job, followed, brought home.

The job belongs to the cluster: it goes on when the laptop is closed, and the same command finds it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp
import yaml
from ray.job_submission import JobStatus, JobSubmissionClient

from learner_ray.core.errors import UserError
from learner_ray.run.object_storage import is_url
from learner_ray.study.archive import unpack

JOB_PORT = 8265
"""Of the dashboard and job API, which answer on the head's own address alone."""

CONNECT_S = 150.0
"""The launcher's ssh waits 120 s for a host."""

PATIENCE_S = 600.0
"""How long a cluster that was there may be out of reach."""

HOME = Path("results")

ON_HEAD = "cd /shared 2>/dev/null || cd"
"""Paths are the cluster's; where it has no /shared, they must be absolute."""

CACHE = ".cache/learner_ray"
"""On the head, below its user's home."""

LOST = (OSError, RuntimeError, aiohttp.ClientError, asyncio.TimeoutError, UserError)


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One sweep command, for one cluster."""

    cluster: Path
    """The cluster file."""
    arguments: tuple[str, ...]
    """The sweep's, without those that are the laptop's own."""
    out: Path
    """The results folder, on the cluster."""
    study_file: Path | None = None
    """A study of the user's own, copied to the head."""
    models: bool = False
    """Bring encoders and checkpoints home, too."""

    @property
    def name(self) -> str:
        """What the jobs of this command begin with."""
        digest = hashlib.sha256(repr(self.arguments).encode()).hexdigest()[:8]
        return f"sweep-{self.out.name}-{digest}"

    @property
    def entrypoint(self) -> str:
        """The shell line that the head runs."""
        words, first = list(self.arguments), ""
        if self.study_file is not None:
            # Beside the results, where every node finds it: it may bring losses of its own.
            there = str(self.out.parent / "studies" / self.study_file.name)
            words = [there if word == str(self.study_file) else word for word in words]
            first = f'install -D "$HOME"/{CACHE}/{shlex.quote(self.study_file.name)} {shlex.quote(there)} && '
        return f"{ON_HEAD}; {first}PYTHONUNBUFFERED=1 exec python -m learner_ray.sweep {shlex.join(words)}"

    @property
    def origin(self) -> str:
        """Where a folder that was brought home came from."""
        return f"{cluster_name(self.cluster)}:{self.out}"


def cluster_name(file: Path) -> str:
    """What a cluster file calls its cluster.

    Raises:
        UserError: it is no cluster file.
    """
    whole = "give a file as `ray up` takes it; see cluster/README.md"
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--cluster {file}: {error.strerror}; {whole}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--cluster {file} is no YAML ({' '.join(str(error).split())}); {whole}") from error
    name = config.get("cluster_name") if isinstance(config, dict) else None
    if not isinstance(name, str) or not isinstance(config.get("provider"), dict):
        raise UserError(f"--cluster {file} lacks cluster_name or provider; {whole}")
    return name


def run_on_cluster(
    cluster: Path,
    arguments: Sequence[str],
    *,
    out: Path,
    stored_at: str,
    study_file: str | None = None,
    models: bool = False,
) -> int:
    """Submits the sweep, or finds it running, follows it to its end and brings its results home.

    Args:
        cluster: the cluster file.
        arguments: the sweep's command line, without the options that concern the laptop alone.
        out: the results folder, on the cluster.
        stored_at: the same folder, or its URL in object storage.
        study_file: the path of a study of the user's own, as it stands in the arguments.
        models: whether encoders and checkpoints are brought home, too.

    Returns:
        The sweep's own exit code; 130 where the user left it to itself.

    Raises:
        UserError: the cluster does not answer, its file is none, or the results would lie over a study that
            ran here.
    """
    cluster_name(cluster)  # refuses what is no cluster file
    submission = Submission(
        cluster=cluster,
        arguments=tuple(arguments),
        out=out,
        study_file=Path(study_file) if study_file else None,
        models=models,
    )
    stored = is_url(stored_at)
    if stored and submission.study_file:
        raise UserError(
            "a study file of your own goes to the cluster beside the results: name an --out on /shared"
        )
    if not stored:
        check_home(submission)
    # Both would be taken for the cluster's address, instead of the tunnel's.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    os.environ["RAY_AUTH_MODE"] = "token"
    logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.WARNING)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command ignores it
    try:
        code = attend(submission)
    except KeyboardInterrupt:
        print("\nLeft to itself: the sweep goes on. The same command finds it again.")
        return 128 + signal.SIGINT
    if code != 2 and stored:
        print(f"Results are in {stored_at}; the same command without --cluster shows them here.")
    elif code != 2:
        bring_home(submission)
    return code


def check_home(submission: Submission) -> None:
    """Refuses to lay results over those of another study."""
    home = HOME / submission.out.name
    if (home / "study.json").exists() and origin_of(home) != submission.origin:
        raise UserError(f"{home} holds another study: move it, or name another folder with --out")


def origin_of(home: Path) -> str:
    """Which cluster and folder these results were brought from; empty for a study that ran here."""
    mark = home / ".cluster"
    return mark.read_text().strip() if mark.exists() else ""


def attend(submission: Submission) -> int:
    """Follows the sweep to its end, through lost connections; its exit code."""
    job, log = "", Log()
    answered = time.monotonic()
    while True:
        try:
            with tunnel(submission.cluster) as client:
                job = job or find_or_submit(client, submission)
                answered = time.monotonic()
                asyncio.run(log.follow(client, job))
                details = client.get_job_info(job)
                answered = time.monotonic()
                if details.status.is_terminal():
                    return exit_code(details)
        except BrokenPipeError:  # of our own output; what the tunnel loses is told as another error
            raise
        except LOST as error:
            if not job:
                raise UserError(f"{submission.cluster}: {error}") from error
            if time.monotonic() - answered > PATIENCE_S:
                raise UserError(
                    f"{submission.cluster} has not answered for {PATIENCE_S / 60:.0f} minutes ({error}); "
                    "the sweep may go on there: the same command finds it again"
                ) from error
            print("connection lost, trying again", file=sys.stderr, flush=True)
        time.sleep(2)


@contextmanager
def tunnel(cluster: Path) -> Iterator[JobSubmissionClient]:
    """The head's job API through ssh, as the launcher opens it.

    Raises:
        UserError: the launcher finds no head, or nothing answers there.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not `ray exec -p`: it takes the same port at both ends, and the laptop's may be another cluster's.
    code = (
        "from ray.autoscaler.sdk import run_on_cluster as run; "
        f"run({str(cluster)!r}, cmd='sleep infinity', port_forward=[({port}, {JOB_PORT})])"
    )
    with tempfile.TemporaryFile("w+") as said:
        # A session of its own: Ctrl-C is for us alone, and ssh ends with its group.
        ssh = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield connected(ssh, port, said)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(ssh.pid, signal.SIGTERM)
            ssh.wait()


def connected(ssh: subprocess.Popen[bytes], port: int, said: IO[str]) -> JobSubmissionClient:
    """Waits for the tunnel, and for the head to answer through it."""
    for _ in range(int(CONNECT_S * 2)):
        if ssh.poll() is not None:
            said.seek(0)
            raise UserError(f"no way to its head: {last_words(said.read())}; start it with `ray up`")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return JobSubmissionClient(f"http://127.0.0.1:{port}")
        time.sleep(0.5)
    raise UserError(f"its head has not answered for {CONNECT_S:.0f} s")


def find_or_submit(client: JobSubmissionClient, submission: Submission) -> str:
    """The id of this command's running job, or of a new one."""
    jobs = [job for job in client.list_jobs() if (job.submission_id or "").startswith(submission.name)]
    for job in jobs:
        if not job.status.is_terminal():
            print(f"Found {job.submission_id} running; Ctrl-C leaves it to itself.", flush=True)
            return str(job.submission_id)
    if submission.study_file is not None:
        launcher(
            "rsync-up",
            submission.cluster,
            str(submission.study_file),
            f"~/{CACHE}/{submission.study_file.name}",
        )
    job_id = f"{submission.name}-{len(jobs) + 1}"
    client.submit_job(entrypoint=submission.entrypoint, submission_id=job_id)
    print(
        f"Submitted {job_id}; Ctrl-C leaves it to itself, the same command finds it again. Elsewhere:\n"
        f"  ray exec {submission.cluster} -p 6006 "
        f"'{ON_HEAD}; tensorboard --logdir {submission.out} --host 127.0.0.1'    # http://localhost:6006\n"
        f"  ray exec {submission.cluster} 'ray job stop {job_id}'",
        flush=True,
    )
    return job_id


class Log:
    """What a job prints, shown once, whatever happens to the connection."""

    def __init__(self) -> None:
        self._shown = 0

    async def follow(self, client: JobSubmissionClient, job: str) -> None:
        """Shows what is new until the job ends."""
        seen = 0
        async for text in client.tail_job_logs(job):
            seen += len(text)
            print(
                text[max(0, len(text) - (seen - self._shown)) :] if seen > self._shown else "",
                end="",
                flush=True,
            )
            self._shown = max(self._shown, seen)


def exit_code(details: Any) -> int:
    """The sweep's exit code, from the job's details."""
    if details.status == JobStatus.SUCCEEDED:
        return 0
    code = int(details.driver_exit_code or 1)
    if code == 3:  # it has said so itself, and is no crash
        return code
    print(f"{details.submission_id}: {details.status.value.lower()}", file=sys.stderr)
    return 128 + signal.SIGTERM if details.status == JobStatus.STOPPED else code


def bring_home(submission: Submission) -> None:
    """Copies the study and its runs into ``results/`` here."""
    home, archive = HOME / submission.out.name, f"{CACHE}/{submission.name}.tar.gz"
    models = " --models" if submission.models else ""
    there = f'{shlex.quote(str(submission.out))} "$HOME"/{archive}{models}'
    launcher("exec", submission.cluster, f"{ON_HEAD}; python -m learner_ray.cli.archive {there}")
    with tempfile.TemporaryDirectory() as here:
        copy = Path(here) / "home.tar.gz"
        launcher("rsync-down", submission.cluster, f"~/{archive}", str(copy))
        launcher("exec", submission.cluster, f"rm ~/{archive}")
        unpack(copy, HOME)
    (home / ".cluster").write_text(submission.origin + "\n")
    print(f"Brought home: {home} and its runs{'' if models else ', without encoders'}. Next, here:")
    print(f"  python analysis/report.py {home} --out report")


def launcher(verb: str, cluster: Path, *words: str) -> None:
    """Runs one of the launcher's commands, silently.

    Raises:
        UserError: it failed.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", verb, str(cluster), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"`ray {verb} {cluster}` failed: {last_words(done.stdout + done.stderr)}")


def last_words(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
