"""A metric of the user's makes itself known, is named without being loaded, and tried before it is used."""

import sys

import numpy as np
import pytest
from own_metrics import install

from analysis.results.errors import ReportError
from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.proper_scores import PROPER_SCORES
from analysis.statistics.report_metric import OTHER_COLUMNS, definition


def share(counts):
    return counts[..., 0, 0] / counts.sum((-1, -2))


@pytest.mark.usefixtures("own_metrics")
def test_a_class_is_known_from_its_definition_on_and_a_later_one_replaces_it():
    def define(value):
        class Own(ReportMetric):
            name, label = "own", "Own"

            def compute(self, counts):
                return share(counts) * value

    define(1)
    assert "own" in METRICS and "own" in ", ".join(METRICS) and "own" not in METRICS.built_in
    assert METRICS["own"].compute(np.ones((3, 3))) == pytest.approx(1 / 9)
    define(2)
    assert METRICS["own"].compute(np.ones((3, 3))) == pytest.approx(2 / 9)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "accuracy", "label": "x", "compute": share}, "has a 'accuracy' already"),
        ({"name": "spearman", "label": "x", "compute": share}, "has a 'spearman' already"),
        ({"name": "my own", "label": "x", "compute": share}, "letters, digits and _"),
        ({"name": "own", "compute": share}, "has no label"),
        ({"name": "own", "label": "x"}, "no method compute"),
    ],
)
@pytest.mark.usefixtures("own_metrics")
def test_a_faulty_class_is_refused_at_its_definition(body, said):
    with pytest.raises(ReportError, match=f"report metric Own: .*{said}"):
        type("Own", (ReportMetric,), body)
    assert "own" not in METRICS


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (lambda self, counts: counts[0, 2] / counts.sum(), "one value per matrix"),
        (lambda self, counts: counts[..., 0, 2] / counts.sum(), "one value per matrix"),
        (lambda self, counts: counts.nonsense(), "compute fails .AttributeError"),
    ],
)
@pytest.mark.usefixtures("own_metrics")
def test_a_metric_that_is_not_one_value_per_matrix_is_refused_when_it_is_asked_for(compute, said):
    type("Own", (ReportMetric,), {"name": "own", "label": "Own", "compute": compute})
    with pytest.raises(ReportError, match=f"report metric 'own': .*{said}"):
        METRICS["own"]


def test_no_metric_takes_the_name_of_another_column():
    assert {*PROPER_SCORES} < {*OTHER_COLUMNS}


@pytest.mark.usefixtures("own_metrics")
def test_an_installed_package_is_imported_when_its_metric_is_asked_for_and_not_before(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "cost_pack", "triage_cost = cost_pack:TriageCost")
    assert "triage_cost" in METRICS and "triage_cost" in list(METRICS) and len(METRICS) == len(list(METRICS))
    assert "cost_pack" not in sys.modules
    assert METRICS["triage_cost"].label == "Triage cost"
    assert "cost_pack" in sys.modules


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("gone = no_such_module:Metric", "package cost-pack cannot be loaded .ModuleNotFoundError"),
        ("gone = cost_pack:COST", "must name a class derived from ReportMetric"),
        ("gone = cost_pack:TriageCost", 'with name = "gone"'),
    ],
)
@pytest.mark.usefixtures("own_metrics")
def test_a_faulty_entry_point_is_named_with_its_package(tmp_path, monkeypatch, point, said):
    install(tmp_path, monkeypatch, "cost_pack", point)
    with pytest.raises(ReportError, match=f"'gone' .*{said}"):
        METRICS["gone"]


@pytest.mark.usefixtures("own_metrics")
def test_the_definition_tells_what_is_computed_not_how_it_is_written():
    def own(weights, margin=0.02):
        class Own(ReportMetric):
            name, label = "own", "Own"

            def compute(self, counts):
                return (counts * weights).sum((-1, -2)) / np.maximum(counts.sum((-1, -2)), 1)

        Own.margin = margin
        return definition(Own())

    cost = 1 - np.eye(3)
    assert own(cost) == own(cost.copy()) and len({own(cost), own(2 * cost), own(cost, margin=0.1)}) == 3
    assert definition(METRICS["macro_f1"]) == ""
