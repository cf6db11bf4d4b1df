"""The example in docs/analysis.md runs as it stands."""

import re
from pathlib import Path

from make_results import make_results

ROOT = Path(__file__).parents[2]


def test_the_library_example_runs(tmp_path, monkeypatch):
    for name in ("lus", "mri"):
        make_results(tmp_path / "results" / name, modality=name)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/analysis.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert (tmp_path / "tables/headline.csv").is_file() and (tmp_path / "figures/forest.svg").is_file()
