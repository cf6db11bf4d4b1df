"""A broken GPU is put aside, and costs no run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.ray_head import free_address, head
from tests.small_sweep import GUARD_S, SMALL, sweep_command


@pytest.mark.long
@pytest.mark.parametrize("gpus", [2, 1])
def test_a_gpu_that_fails_two_runs_is_put_aside_unless_it_is_the_only_one(
    gpus: int, manifest: Path, tmp_path: Path
) -> None:
    """Ray is told of GPUs that are not there; the runs are formulas."""
    out, address = tmp_path / "results" / "lus", free_address()
    options = [*SMALL, "--arms", "mse,weighted", "--trials-per-gpu", "1", "--address", address]
    options += ["--max-concurrent", str(gpus), "--trials", "0", "--seeds", "3"]
    command = sweep_command(manifest, out, *options, module="tests.engine.broken_gpu")
    with head(address, "--num-cpus=2", f"--num-gpus={gpus}"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert "Traceback" not in done.stderr
    assert not any('"failed"' in path.read_text() for path in out.parent.glob("runs/*/state.json"))
    if gpus == 1:
        assert done.returncode == 1, done.stderr
        assert "error: GPU 0 of " in done.stderr and "raises an error for every run" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("is put aside for the rest of the study") == 1
    assert "12 runs, " in done.stdout and " 0 failed" in done.stdout
