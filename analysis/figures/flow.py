"""The flow diagram: from the scans that are listed to the pairs that are analysed, as in CONSORT."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from analysis.figures.drawing import FAINT, INK, STYLE, Drawing, canvas
from analysis.results.flow import COUNTED, Count, Flow, Step, flow_table
from analysis.results.names import file_name
from analysis.statistics.study_statistics import StudyStatistics

BOX, ASIDE, GAP = 2.6, 2.3, 0.3
"""Widths in inches: of a step, of what is left out beside it, and of the space between the two."""
LINE, PAD, BETWEEN = 0.15, 0.08, 0.16
"""Heights in inches: of a line, of the space in a box above and below its text, and between boxes."""
SIZE = 8
"""The size of letters, in points."""
BOLD = FontProperties(size=SIZE, weight="bold")
"""All text is measured in bold, which leaves room where a browser takes a wider typeface."""
MOST_LETTERS = 60
MOST_FOLDS = 10
"""Test folds that are listed in the last box; more are in the CSV alone."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """The boxes of one step: the step itself, and what is left out after it; no lines where there is none."""

    step: list[str]
    aside: list[str]


def flow_diagram(statistics: StudyStatistics) -> Drawing:
    """Draw the flow of a study's cohort; that of its external cohort stands beside it."""
    study, flows = statistics.study, statistics.flows
    columns = [_rows(flow) for flow in flows]
    steps = [max(_height(rows[i].step) for rows in columns) for i in range(len(columns[0]))]
    asides = [max(_height(rows[i].aside) for rows in columns) for i in range(len(columns[0]))]
    width = len(flows) * (BOX + GAP + ASIDE) + (len(flows) + 1) * GAP
    height = sum(steps) + sum(aside + 2 * BETWEEN for aside in asides[:-1]) + 2 * GAP + LINE
    with matplotlib.rc_context(STYLE):
        figure = canvas(width, height)
        figure.set_layout_engine(None)  # the boxes are laid out here, in inches
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(0, height))
        axes.set_axis_off()
        for i, (flow, rows) in enumerate(zip(flows, columns, strict=True)):
            left = GAP + i * (BOX + 2 * GAP + ASIDE)
            kind = "External cohort" if flow.external else "Cohort"
            head = textwrap.shorten(f"{kind} {flow.cohort}", MOST_LETTERS, placeholder=" ...")
            axes.text(left, height - GAP / 2, head, fontsize=SIZE, color=FAINT, va="center")
            _column(axes, rows, steps, asides, left, height - GAP - LINE)
    return Drawing(
        name=file_name(f"flow-{study.key}"),
        title=f"Flow of scans and patients, {study.title}",
        description="From the scans that the manifest or folder lists to the pairs that are analysed, and "
        "what is left out on the way. A pair is analysed where every arm has predicted it in the same final "
        "run.",
        figure=figure,
        data=flow_table(study, flows),
        spoken=" ".join(_spoken(flow) for flow in flows),
    )


def _column(
    axes: Axes, rows: Sequence[_Row], steps: Sequence[float], asides: Sequence[float], left: float, top: float
) -> None:
    """Draw the boxes of one cohort below each other, with arrows between them."""
    middle = left + BOX / 2
    for i, row in enumerate(rows):
        _box(axes, row.step, left, top, BOX, steps[i])
        top -= steps[i]
        if i == len(rows) - 1:
            return
        below = top - asides[i] - 2 * BETWEEN
        _arrow(axes, (middle, top), (middle, below))
        if row.aside:
            half = top - BETWEEN - asides[i] / 2
            _arrow(axes, (middle, half), (left + BOX + GAP, half))
            own = _height(row.aside)
            _box(axes, row.aside, left + BOX + GAP, half + own / 2, ASIDE, own)
        top = below


def _box(axes: Axes, lines: Sequence[str], left: float, top: float, width: float, height: float) -> None:
    axes.add_patch(Rectangle((left, top - height), width, height, fill=False, edgecolor=FAINT, linewidth=0.8))
    for i, line in enumerate(lines):
        weight = "normal" if i else "bold"
        y = top - PAD - (i + 0.5) * LINE
        axes.text(left + PAD, y, line, fontsize=SIZE, color=INK, va="center", fontweight=weight)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": FAINT, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def _height(lines: Sequence[str]) -> float:
    return len(lines) * LINE + 2 * PAD if lines else 0.0


def _rows(flow: Flow) -> list[_Row]:
    rows = [_Row(step=_wrapped(_step_lines(step), BOX), aside=_wrapped(_aside_lines(step), ASIDE))
            for step in flow.steps]  # fmt: skip
    if 1 < len(flow.folds) <= MOST_FOLDS:
        rows[-1].step.extend(_wrapped([f"Pairs by test fold: {_by_fold(flow)}"], BOX))
    return rows


def _by_fold(flow: Flow) -> str:
    return ", ".join(str(fold.numbers["pairs"]) for fold in flow.folds)


def _step_lines(step: Step) -> list[str]:
    numbers = step.kept.numbers
    classes = [name for name in numbers if name not in COUNTED]
    if "pairs" not in numbers or not classes:
        return [step.kept.what, numbers_text(numbers)]
    pairs = f"{numbers['pairs']:,} pairs, {'/'.join(classes)} {'/'.join(str(numbers[c]) for c in classes)}"
    return [step.kept.what, numbers_text({unit: n for unit, n in numbers.items() if unit != "pairs"}), pairs]


def _aside_lines(step: Step) -> list[str]:
    if not step.why:
        return []
    if step.left_out is None:
        return [f"{step.why}:", "not recorded"]
    return [f"{step.why}:", *map(_reason, step.left_out)] if step.left_out else [f"{step.why}: none"]


def _reason(count: Count) -> str:
    found = {unit: n for unit, n in count.numbers.items() if n}
    return f"{numbers_text(found)}: {count.what}"


def numbers_text(numbers: Mapping[str, int]) -> str:
    """``36 patients, 144 visits``; what is not recorded is not named."""
    known = [(numbers[unit], unit) for unit in COUNTED if unit in numbers]
    named = [f"{n:,} {unit.removesuffix('s') if n == 1 else unit}" for n, unit in known]
    return ", ".join(named) or "not recorded"


def _wrapped(lines: Sequence[str], width: float) -> list[str]:
    return [part for line in lines for part in _fitting(line, width)]


def _fitting(line: str, width: float) -> list[str]:
    """Break a line into as few as fit into a box of some width in inches."""
    room = 72 * (width - 2 * PAD)
    broken = (textwrap.wrap(line, letters) for letters in range(MOST_LETTERS, 0, -1))
    return next(parts for parts in broken if max(map(_points, parts), default=0) < room)


def _points(text: str) -> float:
    """The width of some text in points."""
    return float(text_to_path.get_text_width_height_descent(text, BOLD, ismath=False)[0])


def _spoken(flow: Flow) -> str:
    said = [f"{'External cohort' if flow.external else 'Cohort'} {flow.cohort}."]
    for step in flow.steps:
        what, *numbers = _step_lines(step)
        said.append(f"{what}: {', '.join(numbers)}.")
        said += [f"{' '.join(_aside_lines(step))}."] if step.why else []
    return " ".join(said)
