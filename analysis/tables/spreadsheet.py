"""CSV that a spreadsheet opens as text and numbers, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.results.names import spreadsheet_cell


def csv(table: pd.DataFrame) -> str:
    """Render a table as CSV without its index, texts that begin like a formula made harmless."""
    kinds = pd.StringDtype | np.dtypes.ObjectDType
    texts = [name for name in table.columns if isinstance(table[name].dtype, kinds)]
    return table.assign(**{str(name): table[name].map(_safe) for name in texts}).to_csv(index=False)


def _safe(value: Any) -> Any:
    return spreadsheet_cell(value) if isinstance(value, str) else value
