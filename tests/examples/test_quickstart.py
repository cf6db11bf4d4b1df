"""The examples run as they stand: a script without a ``__main__`` guard, and the notebook made from it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
import nbclient
import pytest

from tests.plain_script import run_plain

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"QUICKSTART_TRIALS": "1", "QUICKSTART_EPOCHS": "1", "QUICKSTART_PIXELS": "32"}


@pytest.fixture
def small(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the example small, on the tests' own cohort."""
    for name, value in {**SMALL, "QUICKSTART_DATA": str(manifest)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def test_the_notebook_is_made_from_the_script() -> None:
    script, notebook = (jupytext.read(EXAMPLES / f"quickstart.{end}") for end in ("py", "ipynb"))
    assert [(c.cell_type, c.source) for c in script.cells] == [
        (c.cell_type, c.source) for c in notebook.cells
    ], "make examples"


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_the_script_runs_without_a_guard(tmp_path: Path) -> None:
    said = run_plain(EXAMPLES / "quickstart.py", tmp_path, timeout_s=600)
    assert said.count("In all 16 runs") == 1, "it has run itself again"
    assert "MSE + contrastive" in said and (tmp_path / "results/quickstart/ledger.parquet").exists()


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = jupytext.read(EXAMPLES / "quickstart.ipynb")
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    said = "".join(str(output.get("text")) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "In all 16 runs" in said and "MSE + contrastive" in said
