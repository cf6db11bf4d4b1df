"""A sweep whose spot nodes are all taken away goes on with on-demand nodes, where the option says so."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.engine.fake_cloud import ASKED, DROUGHT, ON_DEMAND, SPOT, TYPES, autoscaled_head
from tests.formula_runs import hold, release
from tests.ray_head import asked_of_autoscaler
from tests.small_sweep import SMALL, ended, ledger, sweep_command, wait_until

pytestmark = pytest.mark.long

AFTER_S = 3.0


def until_line(lines: Iterable[str], words: str) -> Iterator[str]:
    """The lines up to the first with these words."""
    for line in lines:
        yield line
        if words in line:
            return
    raise AssertionError(f"nobody said {words!r}")


def test_a_sweep_in_a_drought_goes_on_with_on_demand_nodes(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root, out = tmp_path / "results", tmp_path / "results" / "lus"
    asked = tmp_path / ASKED
    # So few nodes that a spot node which is still asked for leaves no room.
    with autoscaled_head(tmp_path, 1, {kind: (resources, 1) for kind, resources in TYPES.items()}) as address:
        options = [*SMALL, "--trials", "1", "--trials-per-gpu", "1", "--address", address]
        options += ["--on-demand-after", f"{AFTER_S / 60:g}"]
        command = sweep_command(manifest, out, *options, module="tests.formula_runs")
        env = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        hold(root, 2)
        sweep = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
        )
        try:
            wait_until(lambda: ended(root) >= 2, while_runs=sweep)
            assert set(asked.read_text().split()) == {SPOT}
            (tmp_path / DROUGHT).touch()
            dry = time.monotonic()
            assert sweep.stdout is not None
            # Where the first spot node was slow to start, it had said so before, and had asked in vain.
            said = "".join(until_line(sweep.stdout, "its node was lost"))
            said += "".join(until_line(sweep.stdout, "asking for 1 on demand;"))
            begun = time.monotonic()
            wait_until(lambda: ON_DEMAND in asked.read_text(), while_runs=sweep)
            launched = time.monotonic()
            assert begun - dry >= AFTER_S
            release(root)
            said += sweep.communicate(timeout=300)[0]
        finally:
            sweep.kill()
            sweep.wait()
        waited, launch = begun - dry, launched - begun
        print(f"\nasked {waited:.1f} s after the drought began, launched {launch:.1f} s later")
        assert sweep.returncode == 0, said
        assert "On-demand GPU nodes are coming up" in said
        assert asked.read_text().split().count(ON_DEMAND) == 1
        assert not asked_of_autoscaler(address)
    assert not ledger(out)["imputed"].any()
