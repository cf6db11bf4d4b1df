"""When the Slurm job ends in which a sweep runs."""

from __future__ import annotations

import os
import subprocess
import time

from learner_ray.core.errors import UserError

LEFT_FOR_THE_END_S = 120.0
"""Seconds of the job that are left for tables and for Ray to end."""


def seconds_left_of_job() -> float | None:
    """Seconds until the sweep should have ended, since the Slurm job will; None outside a job, and in one
    without a limit.

    Slurm 22.05 and newer say in the environment when a job ends (``SLURM_JOB_END_TIME``, seconds of the Unix
    epoch); others are asked by ``squeue``. A limit that is changed later is not noticed.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return None
    ends = os.environ.get("SLURM_JOB_END_TIME", "")
    left = float(ends) - time.time() if ends.isdigit() else _asked(job)
    return None if left is None else left - LEFT_FOR_THE_END_S


def hours_of_job() -> float:
    """Hours that the Slurm job has left.

    Raises:
        UserError: this is no job, or it has no limit, or ends within two minutes.
    """
    left = seconds_left_of_job()
    if left is None:
        raise UserError(
            "--hours job is what a Slurm job has left, and there is no job here, or it has no limit: "
            "give a number"
        )
    if left <= 0:
        raise UserError("--hours job: the Slurm job ends within two minutes")
    return left / 3600


def _asked(job: str) -> float | None:
    """Seconds that ``squeue`` says a job has left."""
    try:
        command = ["squeue", "--noheader", "--jobs", job, "--format", "%L"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_left(said)


def parse_left(text: str) -> float | None:
    """Seconds of a time as Slurm prints it, ``[days-]hours:minutes:seconds`` or the end of it; None for any
    other text, such as ``UNLIMITED``."""
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or (dash and not days.isdigit()) or len(parts) > 3:
        return None
    numbers = [int(part) for part in parts]
    numbers = numbers + [0] * (3 - len(numbers)) if dash else [0] * (3 - len(numbers)) + numbers
    hours, minutes, seconds = numbers
    return float(86400 * int(days or 0) + 3600 * hours + 60 * minutes + seconds)
