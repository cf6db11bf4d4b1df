"""Learning curves of an arm as a small picture (SVG), in the colours of the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 28
POINTS = 60
"""Points of a line at most."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The learning curve of one trial."""

    scores: Sequence[float]
    """Selection score of each epoch, from epoch 1 on; NaN where it has none."""
    kind: str
    """``best``, ``now`` for a trial under way, or ``other``."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What the axes of all arms span, so that these can be compared."""

    epochs: int
    low: float
    high: float

    @classmethod
    def over(cls, lines: Sequence[Line]) -> Scale | None:
        """The scale that holds all lines; None where there is no point."""
        values = [score for line in lines for score in line.scores if math.isfinite(score)]
        if not values:
            return None
        # A few epochs far below, as first ones may be, would flatten all else.
        ordered = sorted(values)
        low, high = ordered[len(ordered) // 50], ordered[-1]
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
        return cls(epochs=max(len(line.scores) for line in lines), low=low - margin, high=high + margin)

    def point(self, epoch: int, score: float) -> str:
        """Where a score is drawn, as SVG has it."""
        across = (epoch - 1) / max(1, self.epochs - 1)
        up = min(1.0, max(0.0, (score - self.low) / (self.high - self.low)))
        x, y = LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"


def draw(lines: Sequence[Line], scale: Scale, described: str) -> Markup:
    """The picture of an arm.

    Args:
        lines: the curves, those in front last.
        scale: of the axes.
        described: what it shows, for those who do not see it.
    """
    drawn = [mark for line in lines if (mark := _line(line, scale))]
    return Markup("\n").join(
        [
            Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, described),
            *_axes(scale),
            *drawn,
            Markup("</svg>"),
        ]
    )


def _axes(scale: Scale) -> list[Markup]:
    bottom = HEIGHT - BOTTOM
    found = [Markup('<path class="axis" d="M{} {}V{}H{}"/>').format(LEFT, TOP, bottom, WIDTH - RIGHT)]
    for score in ticks(scale.low, scale.high):
        y = scale.point(1, score).partition(",")[2]
        found.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, WIDTH - RIGHT))
        found.append(Markup('<text x="{}" y="{}" class="up">{}</text>').format(LEFT - 5, y, f"{score:g}"))
    for epoch, place in ((1, "start"), (scale.epochs, "end")):
        x = scale.point(epoch, scale.low).partition(",")[0]
        found.append(
            Markup('<text x="{}" y="{}" class="{}">{}</text>').format(x, bottom + 16, place, f"epoch {epoch}")
        )
    return found if scale.epochs > 1 else found[:-1]


def _line(line: Line, scale: Scale) -> Markup:
    known = [(epoch, score) for epoch, score in enumerate(line.scores, start=1) if math.isfinite(score)]
    step = -(-len(known) // POINTS)
    kept = [*known[:-1:step], known[-1]] if known else []
    points = " ".join(scale.point(epoch, score) for epoch, score in kept)
    if len(kept) == 1:
        x, _, y = points.partition(",")
        return Markup('<circle class="{}" cx="{}" cy="{}" r="2.5"/>').format(line.kind, x, y)
    return (
        Markup('<polyline class="{}" points="{}"/>').format(line.kind, escape(points)) if kept else Markup()
    )


def ticks(low: float, high: float) -> list[float]:
    """Two to five round numbers between two."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= rough)
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]
