"""Tables as text."""

import pandas as pd

from analysis.tables.render import latex
from analysis.tables.table import Table


def test_latex_escapes_and_sets_intervals_below():
    panel = pd.DataFrame({"a_b": ["-0.1 [-0.2, +0.1]"]}, index=["50 % & more"])
    text = latex(Table(name="x", title="T", data=panel, panels=[("", panel)]))
    assert r"50 \% \& more" in text and r"a\_b" in text
    assert r"\shortstack[r]{$-$0.1\\{\scriptsize [$-$0.2, +0.1]}}" in text
