"""The scans of a phantom cohort, written by several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learner_ray.core.child import child_command, child_environment

Rows = list[list[Any]]


def write_patients(modality: str, folder: Path, *, patients: int, visits: int, key: int) -> Rows:
    """Writes the scans of patients 1 to ``patients``.

    Args:
        modality: of the phantom.
        folder: holds a folder ``scans``.
        patients: how many.
        visits: scans of each.
        key: of all random draws.

    Returns:
        The rows of the manifest, by patient and visit.

    Raises:
        OSError: a scan cannot be written.
    """
    count = min(os.cpu_count() or 1, patients)
    jobs = [
        _start([modality, str(folder.absolute()), visits, key, list(range(first, patients + 1, count))])
        for first in range(1, count + 1)
    ]
    found: dict[str, Rows] = {}
    try:
        for job in jobs:
            found.update(_answer(job))
    finally:
        for job in jobs:
            job.kill()
            job.wait()
    return [row for number in range(1, patients + 1) for row in found[str(number)]]


def _start(task: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*child_command(__name__), json.dumps(task)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(),
        text=True,
    )


def _answer(job: subprocess.Popen[str]) -> dict[str, Rows]:
    output, errors = job.communicate()
    if job.returncode:
        raise RuntimeError(
            f"a process that writes phantom scans has ended ({job.returncode}): {errors.strip()}"
        )
    answer = json.loads(output)
    if "errno" in answer:
        raise OSError(answer["errno"], answer["strerror"], answer["filename"])
    rows: dict[str, Rows] = answer["rows"]
    return rows


def main() -> None:
    """Writes the scans of the patients that the first argument names; their rows go to stdout, as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is answered by the process that started this one
    from learner_ray.imaging.phantoms.patient import write_patient

    modality, folder, visits, key, numbers = json.loads(sys.argv[1])
    answer: dict[str, object]
    try:
        rows = {n: write_patient(modality, Path(folder), n, visits, key) for n in numbers}
        answer = {"rows": rows}
    except OSError as error:
        answer = {"errno": error.errno, "strerror": error.strerror, "filename": error.filename}
    sys.stdout.write(json.dumps(answer, default=str))
