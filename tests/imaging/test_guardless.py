"""Nothing imports the user's script again: it needs no ``__main__`` guard."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plain_script import run_plain

SCRIPT = """
from pathlib import Path
from learner_ray.imaging.phantoms import write_phantom
print("begun", flush=True)
print(write_phantom("mri", Path("cohort"), patients=2, visits=1))
"""


@pytest.mark.long
@pytest.mark.slow
def test_a_plain_script_that_makes_a_phantom_runs_once(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(SCRIPT)
    said = run_plain(tmp_path / "plain.py", tmp_path, timeout_s=60)
    assert said.splitlines() == ["begun", "cohort/manifest.csv"]
    assert len(list((tmp_path / "cohort" / "scans").iterdir())) == 2
