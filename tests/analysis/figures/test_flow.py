"""The flow diagram: whatever the reasons are, their text stays in its box, and boxes do not overlap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import pytest
from make_results import make_results
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures.flow import flow_diagram
from analysis.results.flow import Flow, flows_of
from analysis.results.load import load
from analysis.results.study import StudyResults

LONG = "announces many more frames than it holds, so that it may have been truncated on its way: look at it"
SHORT = "is empty"


@dataclass
class Statistics:
    """What the diagram needs of a study's statistics."""

    study: StudyResults
    flows: list[Flow]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    folder: Path = make_results(tmp_path_factory.mktemp("results") / "lus")
    return load([folder]).studies[0]


@pytest.mark.parametrize("reasons", [{}, {SHORT: 1}, {LONG: 123_456, SHORT: 2, "m" * 80: 3}])
@pytest.mark.parametrize("external", [False, True])
def test_text_stays_in_its_box_and_boxes_apart(
    study: StudyResults, reasons: dict[str, int], external: bool
) -> None:
    flow = {"listed": {"scans": 10, "patients": 5}, "left_out": {SHORT: 1}, "unreadable": reasons}
    info = {**study.info, "flow": flow}
    if external:
        info["external"] = {"name": "elsewhere " * 20, "flow": {"left_out": reasons}}
    changed = replace(study, info=info)
    drawing = flow_diagram(Statistics(changed, flows_of(changed)))  # type: ignore[arg-type]
    (axes,) = drawing.figure.axes
    FigureCanvasAgg(drawing.figure).draw()
    boxes = [patch.get_window_extent() for patch in axes.patches]
    assert len(boxes) == (1 + external) * 9
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    texts = [text.get_window_extent() for text in axes.texts if text.get_text()]
    inside = [any(b.x0 < t.x0 and t.x1 < b.x1 and b.y0 < t.y0 and t.y1 < b.y1 for b in boxes) for t in texts]
    assert inside.count(False) == 1 + external, "only the names of the cohorts stand outside"
    assert all(t.x1 < drawing.figure.bbox.x1 for t in texts)
    for reason, count in reasons.items():
        assert f"{count:,} scan" in drawing.spoken and reason in drawing.spoken
