"""A sweep typed on a laptop and run on a cluster: submitted to the head as a Ray job, followed, brought home.

The job belongs to the cluster: it goes on when the laptop is closed, and the same command finds it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from ray.job_submission import JobStatus, JobSubmissionClient

from learner_ray.core import withheld
from learner_ray.core.errors import UserError
from learner_ray.engine import ray_private
from learner_ray.engine.launcher import cluster_name, run_launcher, tunnel
from learner_ray.run.object_storage import is_url
from learner_ray.study.archive import unpack

PATIENCE_S = 600.0
"""Seconds for which a cluster that has answered may be out of reach."""

logger = logging.getLogger(__name__)

HOME = Path("results")

ON_HEAD = "cd /shared 2>/dev/null || cd"
"""Paths are the cluster's; where it has no /shared, they must be absolute."""

CACHE = ".cache/learner_ray"
"""The folder of caches on the head, below its user's home."""

TUNNEL_ENVIRONMENT = {"RAY_ADDRESS": None, "RAY_API_SERVER_ADDRESS": None, "RAY_AUTH_MODE": "token"}
"""The two addresses would be taken for the cluster's, instead of the tunnel's."""

CONNECTION_LOST = (OSError, RuntimeError, aiohttp.ClientError, asyncio.TimeoutError, UserError)


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One sweep command, for one cluster."""

    cluster: Path
    """The cluster file."""
    arguments: tuple[str, ...]
    """The sweep's arguments, without the options that concern the laptop alone."""
    out: Path
    """The results folder, on the cluster."""
    price_per_hour: float | None = None
    """The price of a device, as the cluster file names it; no part of the command, which finds its job again
    after a change of the price too."""
    study_file: str | None = None
    """A study of the user's own, as it stands in the arguments; it is copied to the head."""
    models: bool = False
    """Whether encoders and checkpoints are brought home, too."""

    @property
    def name(self) -> str:
        """The beginning of the ids of this command's jobs."""
        digest = hashlib.sha256(repr(self.arguments).encode()).hexdigest()[:8]
        return f"sweep-{self.out.name}-{digest}"

    @property
    def entrypoint(self) -> str:
        """The shell line that the head runs."""
        words, first = list(self.arguments), ""
        if self.price_per_hour:
            words += ["--price-per-hour", f"{self.price_per_hour:g}"]
        if self.study_file is not None:
            # Beside the results, where every node finds it: it may bring losses of its own.
            there = str(self.out.parent / "studies" / Path(self.study_file).name)
            words = [there if word == self.study_file else word for word in words]
            first = f'install -D "$HOME"/{shlex.quote(self.study_copy)} {shlex.quote(there)} && '
        # Ray keeps the job's log where others may read it: what names files or patients is kept elsewhere.
        kept = f'"$HOME"/{shlex.quote(self.messages)}'
        sweep = f"exec python -m learner_ray.sweep {shlex.join(words)}"
        return f"{ON_HEAD}; rm -f {kept}; {first}{withheld.VARIABLE}={kept} PYTHONUNBUFFERED=1 {sweep}"

    @property
    def messages(self) -> str:
        """The file of whole messages, below the head user's home."""
        return f"{CACHE}/{self.name}-messages.txt"

    @property
    def study_copy(self) -> str:
        """Where the study file is brought first, below the head user's home; its folder is there."""
        return f".learner_ray-{Path(self.study_file or '').name}"

    @property
    def origin(self) -> str:
        """The cluster and folder that results come from, as they are marked with at home."""
        return f"{cluster_name(self.cluster)}:{self.out}"


def run_on_cluster(
    cluster: Path,
    arguments: Sequence[str],
    *,
    out: Path,
    stored_at: str,
    price_per_hour: float | None = None,
    study_file: str | None = None,
    models: bool = False,
) -> int:
    """Submits the sweep, or finds it running, follows it to its end and brings its results home.

    Args:
        cluster: the cluster file.
        arguments: the sweep's command line, without the options that concern the laptop alone.
        out: the results folder, on the cluster.
        stored_at: the same folder, or its URL in object storage.
        price_per_hour: of a device, as the cluster file names it, where the arguments name none.
        study_file: the path of a study of the user's own, as it stands in the arguments.
        models: whether encoders and checkpoints are brought home, too.

    Returns:
        The sweep's own exit code; 130 where the user stopped following it.

    Raises:
        UserError: the cluster does not answer, its file is none, or the results would lie over a study that
            ran here.
    """
    cluster_name(cluster)  # refuses what is no cluster file
    submission = Submission(
        cluster=cluster,
        arguments=tuple(arguments),
        out=out,
        price_per_hour=price_per_hour,
        study_file=study_file,
        models=models,
    )
    stored = is_url(stored_at)
    if stored and submission.study_file:
        raise UserError(
            "a study file of your own goes to the cluster beside the results: name an --out on /shared"
        )
    if not stored:
        check_home(submission)
    code = _follow(submission)
    if code is None:
        logger.info(
            "\nStopped following the sweep; it keeps running on the cluster. The same command rejoins it."
        )
        return 128 + signal.SIGINT
    if code:
        show_messages(submission)
    if code != 2 and stored:
        logger.info(f"Results are in {stored_at}; the same command without --cluster shows them here.")
    elif code != 2:
        bring_home(submission)
    return code


def _follow(submission: Submission) -> int | None:
    """The sweep's exit code; None where the user pressed Ctrl-C. The process is left as it was found."""
    # A shell's background command ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ray_private.environment(TUNNEL_ENVIRONMENT), ray_private.quiet_job_client():
            return attend(submission)
    except KeyboardInterrupt:
        return None
    finally:
        signal.signal(signal.SIGINT, before)


def check_home(submission: Submission) -> None:
    """Refuses to lay results over those of another study."""
    home = HOME / submission.out.name
    if (home / "study.json").exists() and origin_of(home) != submission.origin:
        raise UserError(f"{home} holds another study: move it, or name another folder with --out")


def origin_of(home: Path) -> str:
    """The cluster and folder that these results were brought from; empty for a study that ran here."""
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
        except BrokenPipeError:  # of our own output; what the tunnel loses is raised as another error
            raise
        except CONNECTION_LOST as error:
            if not job:
                raise UserError(f"{submission.cluster}: {error}") from error
            if time.monotonic() - answered > PATIENCE_S:
                raise UserError(
                    f"{submission.cluster} has not answered for {PATIENCE_S / 60:.0f} minutes ({error}); "
                    "the sweep may go on there: the same command finds it again"
                ) from error
            logger.warning("connection to the cluster lost, trying again")
        time.sleep(2)


def find_or_submit(client: JobSubmissionClient, submission: Submission) -> str:
    """The id of this command's running job, or of a new one."""
    jobs = [job for job in client.list_jobs() if (job.submission_id or "").startswith(submission.name)]
    for job in jobs:
        if not job.status.is_terminal():
            logger.info(f"Found {job.submission_id} running; Ctrl-C stops following it alone.")
            return str(job.submission_id)
    if submission.study_file is not None:
        run_launcher("rsync-up", submission.cluster, submission.study_file, f"~/{submission.study_copy}")
    job_id = f"{submission.name}-{len(jobs) + 1}"
    client.submit_job(entrypoint=submission.entrypoint, submission_id=job_id)
    logger.info(
        f"Submitted {job_id}; Ctrl-C stops following it alone, the same command follows it again.\n"
        "In another shell:\n"
        f"  ray exec {submission.cluster} -p 6006 "
        f"'{ON_HEAD}; tensorboard --logdir {submission.out} --host 127.0.0.1'    # http://localhost:6006\n"
        f"  ray exec {submission.cluster} 'ray job stop {job_id}'"
    )
    return job_id


class Log:
    """Shows each line that a job prints once, however often the connection is lost."""

    def __init__(self) -> None:
        self._shown = 0

    async def follow(self, client: JobSubmissionClient, job: str) -> None:
        """Shows what is new until the job ends."""
        seen = 0
        async for text in client.tail_job_logs(job):
            seen += len(text)
            if seen > self._shown:
                sys.stdout.write(text[max(0, len(text) - (seen - self._shown)) :])
                sys.stdout.flush()
            self._shown = max(self._shown, seen)


def exit_code(details: Any) -> int:
    """The sweep's exit code, from the job's details."""
    if details.status == JobStatus.SUCCEEDED:
        return 0
    code = int(details.driver_exit_code or 1)
    if code == 3:  # it has said so itself, and is no crash
        return code
    logger.error(f"{details.submission_id}: {details.status.value.lower()}")
    return 128 + signal.SIGTERM if details.status == JobStatus.STOPPED else code


def show_messages(submission: Submission) -> None:
    """Shows the messages that the job's log withholds: the terminal here is that of the user alone."""
    with tempfile.TemporaryDirectory() as here, suppress(UserError, OSError):  # there may be none
        copy = Path(here) / "messages.txt"
        run_launcher("rsync-down", submission.cluster, f"~/{submission.messages}", str(copy))
        logger.error(f"In whole, for you alone:\n{copy.read_text(encoding='utf-8').rstrip()}")


def bring_home(submission: Submission) -> None:
    """Copies the study and its runs into ``results/`` here."""
    home, archive = HOME / submission.out.name, f"{CACHE}/{submission.name}.tar.gz"
    models = " --models" if submission.models else ""
    there = f'{shlex.quote(str(submission.out))} "$HOME"/{archive}{models}'
    run_launcher("exec", submission.cluster, f"{ON_HEAD}; python -m learner_ray.cli.archive {there}")
    with tempfile.TemporaryDirectory() as here:
        copy = Path(here) / "home.tar.gz"
        run_launcher("rsync-down", submission.cluster, f"~/{archive}", str(copy))
        run_launcher("exec", submission.cluster, f"rm ~/{archive}")
        unpack(copy, HOME)
    (home / ".cluster").write_text(submission.origin + "\n")
    logger.info(
        f"Brought home: {home} and its runs{'' if models else ', without encoders'}. Next, here:\n"
        f"  python analysis/report.py {home} --out report"
    )
