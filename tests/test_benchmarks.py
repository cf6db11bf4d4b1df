"""Every benchmark finds what it measures."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted(path.stem for path in (Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_can_be_loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("benchmarks")  # where they find each other, run as scripts
    importlib.import_module(f"benchmarks.{name}")


@pytest.mark.long
def test_the_measurements_of_a_gpu_run_on_a_cpu(tmp_path: Path) -> None:
    """What would begin after the limit is left out, and said so."""
    file, script = tmp_path / "gpu.json", Path(__file__).parents[1] / "benchmarks/gpu.py"
    command = [sys.executable, str(script), "--dry", "--seconds", "0.05", "--limit", "8", "--json", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    found = json.loads(file.read_text())
    assert found["card"] == "none: dry run on a CPU"
    assert found["ms bound of a step, arithmetic alone"] > 0
    assert found["ms plain: float32, NCHW, copied and read each step"] > 0
    assert found["same bits: streamed frames"] == "left out: no time", "the last of all measurements"
    assert not [name for name, value in found.items() if str(value).startswith("failed")]
