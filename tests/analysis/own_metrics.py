"""Metrics of a user's own: the worked example of docs/extending.md, and packages made of it."""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/extending.md"
(EXAMPLE,) = re.findall(
    r"```python\n(.*?)```", PAGE.read_text().partition("## A report metric")[2], re.DOTALL
)
"""A study file with a metric of its own, ``triage_cost``."""
METRIC_ALONE = re.sub(r"(?m)^(from search_spaces|STUDY = ).*\n", "", EXAMPLE)
"""The same without the study, as a module of a package has it."""


def install(folder, monkeypatch, package, point):
    """Put a package on the path that holds the metric, with one entry point."""
    (folder / f"{package}.py").write_text(METRIC_ALONE)
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {package.replace('_', '-')}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[learner_ray.report_metric]\n{point}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, package, raising=False)
