"""docs/tutorial.md, run as it stands, on a small cohort and a small study in place of the phantom's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from learner_ray.imaging.phantoms import cohort
from tests.docs.typed import ROOT, carry_out, commands

PAGE = "docs/tutorial.md"
ENTER = ". .venv/bin/activate"


@pytest.mark.slow
def test_the_tutorial_as_typed(
    tmp_path: Path, finished: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "results/lus-phantom")  # what `make sweep` leaves
    shutil.copytree(finished.parent / "runs", "results/runs")
    phantom = f"~/.cache/learner_ray/phantoms/lus-v{cohort.VERSION}/manifest.csv"
    first, *lines = commands(PAGE)
    assert first == ENTER and phantom in lines[0]
    codes = [carry_out(line, f"--data {manifest}", {phantom: f"{manifest} --modality lus"}) for line in lines]
    assert codes == [0] * len(lines)
    assert Path("gallery.html").is_file() and Path("report/index.html").is_file()
    assert Path("results/small/ledger.parquet").is_file() and not Path("results/larger").exists()


def test_make_sweep_is_the_sweep_that_the_page_tells_of() -> None:
    assert "$(BIN)/python -m learner_ray.sweep lus\n" in (ROOT / "Makefile").read_text()
