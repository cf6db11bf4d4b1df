"""The time that a Slurm job has left, as the environment or ``squeue`` says it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.engine.time_limit import hours_of_job, parse_left


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1-02:03:04", 93784), ("2-12", 216000), ("2-00:30", 174600), ("10:00:05", 36005), ("4:30", 270),
        ("59", 59), ("UNLIMITED", None), ("INVALID", None), ("", None), ("1:2:3:4", None),
    ],
)  # fmt: skip
def test_times_as_slurm_prints_them(text: str, seconds: float | None) -> None:
    assert parse_left(text) == seconds


def test_the_environment_says_when_the_job_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 7620))
    assert hours_of_job() == pytest.approx(2, abs=0.01)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 60))
    with pytest.raises(UserError, match="seven minutes"):
        hours_of_job()


def test_else_squeue_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UserError, match="no job here"):
        hours_of_job()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 1:07:00\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert hours_of_job() == pytest.approx(1)
