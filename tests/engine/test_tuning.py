"""A run whose process dies for want of memory, or of itself, ends no other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.small_sweep import GUARD_S, SMALL, sweep_command


@pytest.mark.long
def test_a_run_that_takes_all_memory_fails_and_no_other(manifest: Path, tmp_path: Path) -> None:
    """By Ray's own watch over the memory, whose limit is set a little above what is taken now."""
    out = tmp_path / "results" / "lus"
    options = [*SMALL, "--trials", "0", "--arms", "contrastive,majority", "--max-concurrent", "1"]
    command = sweep_command(manifest, out, *options, "--address", "local", module="tests.engine.greedy")
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(memory[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    limit = {"RAY_memory_usage_threshold": f"{(total - free + 4 * 2**20) / total:.3f}"}
    limit["RAY_memory_monitor_refresh_ms"] = "50"
    done = subprocess.run(
        command, env=os.environ | limit, capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.count("starting it again, with nothing beside it") == 2
    assert "Finished, but 2 of 4 runs failed or diverged:" in done.stdout
    ledger = pd.read_parquet(out / "ledger.parquet")
    assert set(ledger.loc[~ledger["imputed"], "arm"]) == {"majority"}
    assert set(ledger.loc[ledger["imputed"], "arm"]) == {"contrastive"}
