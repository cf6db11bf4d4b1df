"""A report that is older than its results is found out."""

import pandas as pd
from make_results import make_results

from analysis.page.staleness import changed_sources, write_sources
from analysis.results.load import load


def test_report_older_than_its_ledger_is_found_out(tmp_path):
    folder, out = make_results(tmp_path / "lus"), tmp_path / "report"
    out.mkdir()
    write_sources(load([folder]).studies, out)
    assert changed_sources(out) == []
    ledger = pd.read_parquet(folder / "ledger.parquet")
    ledger.iloc[1:].to_parquet(folder / "ledger.parquet")
    assert len(changed_sources(out)) == 1 and "ledger.parquet has changed" in changed_sources(out)[0]
