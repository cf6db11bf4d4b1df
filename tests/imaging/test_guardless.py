"""Nothing imports the user's script again: it needs no ``__main__`` guard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from pathlib import Path
from learner_ray.imaging.phantoms import write_phantom
print("begun", flush=True)
print(write_phantom("mri", Path("cohort"), patients=2, visits=1))
"""


@pytest.mark.slow
def test_a_plain_script_that_makes_a_phantom_runs_once(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "plain.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["begun", "cohort/manifest.csv"]
    assert len(list((tmp_path / "cohort" / "scans").iterdir())) == 2
