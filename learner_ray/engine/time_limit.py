"""The time that a sweep has, by its options and by the Slurm job in which it runs."""

from __future__ import annotations

import math
import os
import subprocess
import time

from learner_ray.core.errors import UserError
from learner_ray.study.budget import Budget
from learner_ray.study.options import JOB, SweepOptions, flag

LEFT_FOR_THE_END_S = 420.0
"""Seconds of the job that are left: Slurm signals `slurm.sh` 300 s before the end, and tables are written
before that."""


def budget_of(options: SweepOptions) -> Budget | None:
    """The time that the options give a sweep, from now on; None where they set no limit.

    Raises:
        UserError: as :func:`hours_of`.
    """
    limits = {"hours": options.hours, "max_device_hours": options.max_device_hours}
    by = " and ".join(f"{flag(name)} {value}" for name, value in limits.items() if value is not None)
    if not by:
        return None
    return Budget(
        by,
        seconds=3600 * hours_of(options),
        device_seconds=3600 * (options.max_device_hours or math.inf),
        devices_per_run=options.devices_per_trial,
    )


def hours_of(options: SweepOptions) -> float:
    """The hours that a start of a study may take; infinite where no limit is set.

    Raises:
        UserError: they are those of a Slurm job, and there is none, or it has no limit, or is about to end.
    """
    return hours_of_job() if options.hours == JOB else float(options.hours or math.inf)


def seconds_left_of_job() -> float | None:
    """Seconds until the sweep should have ended, since the Slurm job will; None outside a job, and in one
    without a limit.

    Where Slurm says in the environment when a job ends (``SLURM_JOB_END_TIME``, seconds of the Unix epoch),
    this counts; older versions, 22.05 for one, are asked by ``squeue``. A limit that is changed later is not
    noticed.
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
        UserError: this is no job, or it has no limit, or ends within seven minutes.
    """
    left = seconds_left_of_job()
    if left is None:
        raise UserError(
            "--hours job is what a Slurm job has left, and there is no job here, or it has no limit: "
            "give a number"
        )
    if left <= 0:
        raise UserError("--hours job: the Slurm job ends within seven minutes")
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
