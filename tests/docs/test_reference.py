"""What reference pages list is what a study leaves."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from learner_ray.cli.command import COMPLETE, MISTAKE, SOME_FAILED, UNFINISHED
from tests.docs.typed import ROOT


def listed(page: str) -> set[str]:
    """The names in the first column of a page's tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


@pytest.mark.ray
def test_the_columns_of_a_ledger_are_described(finished: Path) -> None:
    columns = set(pd.read_parquet(finished / "ledger.parquet").columns)
    assert listed("ledger.md") == {*columns, "endpoint"}  # of decline alone


@pytest.mark.ray
def test_the_files_of_a_study_and_its_runs_are_described(finished: Path) -> None:
    runs = finished.parent / "runs"
    files = {file.name for run in runs.iterdir() for file in run.iterdir() if not file.name.startswith(".")}
    files |= {f"{file.name}/" if file.is_dir() else file.name for file in finished.iterdir()}
    assert {file for file in files if not file.startswith(".")} - listed("results-folder.md") == set()


def test_every_exit_code_is_described() -> None:
    page = (ROOT / "docs/exit-codes.md").read_text()
    for code in (COMPLETE, UNFINISHED, MISTAKE, SOME_FAILED):
        assert f"| {code} |" in page
