"""The pages of results in the documentation are made by one command, and tell of no patient."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

from tests.analysis.make_results import make_results

ROOT = Path(__file__).resolve().parents[1]
MAKE = ROOT / "docs" / "results" / "make.py"


@pytest.mark.slow
def test_a_page_has_the_verdict_its_figures_and_no_patient(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    about = tmp_path / "about.txt"
    about.write_text("What the data are.")
    make = runpy.run_path(str(MAKE))["main"]
    make([str(folder), "--name", "made", "--title", "Made up", "--about", str(about), "--out", str(tmp_path)])
    page = (tmp_path / "made.md").read_text()
    assert page.startswith("# Made up\n\nWhat the data are.\n\n**LUS: ")
    figures = {path.name for path in tmp_path.glob("made-*.svg")}
    assert figures == {f"made-{name}.svg" for name in ("arms", "forest", "confusion", "reliability")}
    assert all(f"({name})" in page for name in figures)
    patients = set(pd.read_parquet(folder / "ledger.parquet")["patient"].map(str))
    assert not [patient for patient in patients if patient in page]


def test_every_page_names_commit_date_and_hardware() -> None:
    pages = [path for path in MAKE.parent.glob("*.md") if path.name != "README.md"]
    for page in pages:
        assert "at commit " in page.read_text(), page.name
