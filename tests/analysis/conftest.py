"""The makers of synthetic results and metrics are imported by name from this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def own_metrics(monkeypatch):
    """What a test defines or imports is not known to the next."""
    from analysis.statistics import study_metric
    from analysis.statistics.metrics import METRICS

    monkeypatch.setattr(METRICS, "_classes", dict(METRICS._classes))
    monkeypatch.setattr(study_metric, "_of_study_files", set())
    study_metric._defined_in.cache_clear()
    yield
    study_metric._defined_in.cache_clear()
