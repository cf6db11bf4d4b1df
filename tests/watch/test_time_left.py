"""What is left is counted in the devices that runs really take."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner_ray.watch.events import RunLogReader, RunSeen
from learner_ray.watch.time_left import time_left

SEARCH = {"trials": 4, "audits": 0, "finals": 0, "parallel_trials": 4, "chosen_by": ""}


@pytest.mark.parametrize("share", [0.25, 1.0, 2.0])
def test_runs_that_share_a_gpu_leave_their_part_of_it(share: float) -> None:
    """Four runs of 1,000 s, of which one has ended: on a quarter of a GPU each, 750 s of one are left."""
    log = RunLogReader(Path("none"), searches={"mse/r0-f0": dict(SEARCH)}, slots=1)
    ended = RunSeen(
        search="mse/r0-f0",
        arm="mse",
        role="trial",
        name="trial-000",
        run_hash="0",
        begun=5000.0,
        since=5000.0,
        ended=6000.0,
        state="complete",
        device_seconds=1000 * share,
    )
    log.runs[ended.label] = ended
    left = time_left(log, now=6000.0)
    assert left is not None
    assert left.seconds == pytest.approx(3000)
    assert left.device_seconds == pytest.approx(3000 * share)
