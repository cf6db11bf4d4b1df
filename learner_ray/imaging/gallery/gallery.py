"""The gallery: one self-contained page, one picture per scan, by patient and visit, with the scores.

Nothing in it needs a script, and the browser lays out only the patients that are in sight, so that a page of
thousands of scans stays usable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from learner_ray.cohort import CLASSES, Cohort
from learner_ray.core.config import DataConfig
from learner_ray.core.files import write_atomic
from learner_ray.imaging.cache import PixelCache
from learner_ray.imaging.gallery.pictures import data_url, lossless, shown_frame

_LEAST_SIDE = 128
"""Pixels of the screen that a picture fills at least."""


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """One scan on the page."""

    scan: str
    row: int
    url: str
    view: str
    cut: str
    """What of the manifest's columns was used: crop, mask or both."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Visit:
    """One visit on the page."""

    name: str
    when: str
    score: str
    change: str
    """``worse``, ``same`` or ``better`` since the visit before; empty for the first."""
    by: str
    """How much the score changed since then, with its sign."""
    pictures: Sequence[_Picture]


def write_gallery(
    path: Path, cohort: Cohort, cache: PixelCache, data: DataConfig, warnings: Mapping[str, Sequence[str]]
) -> int:
    """Writes the page, whole or not at all, and returns its size in bytes.

    Args:
        path: the page.
        cohort: whose scans are shown.
        cache: their pixels, read as ``data`` says.
        data: says how many frames the network is shown, and whether crops and masks are used.
        warnings: what there is to mind about scans, in a few words each, by scan id.

    Raises:
        OSError: it cannot be written.
    """
    exact = lossless(len(cohort.scans), cache.size)
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    patients = list(_patients(cohort, cache, data, warnings, exact))
    text = environment.get_template("gallery.html").render(
        cohort=cohort,
        data=data,
        size=cache.size,
        side=max(_LEAST_SIDE, cache.size),
        exact=exact,
        patients=patients,
        warned=_by_warning(warnings),
        style=Markup((folder / "gallery.css").read_text(encoding="utf-8")),
    )
    write_atomic(path, text)
    return len(text.encode())


def _patients(
    cohort: Cohort,
    cache: PixelCache,
    data: DataConfig,
    warnings: Mapping[str, Sequence[str]],
    exact: bool,
) -> Iterable[tuple[str, list[_Visit]]]:
    """Each patient with the visits in order."""
    scans = {row.scan: row for row in _rows(cohort.shown(crop=data.crop, mask=data.mask).scans)}
    pairs = {(pair.patient, pair.later): pair for pair in _rows(cohort.pairs())}
    visits: dict[str, list[_Visit]] = {}
    for visit in _rows(cohort.visits()):
        pair = pairs.get((visit.patient, visit.visit))
        pictures = [
            _Picture(
                scan=name,
                row=scans[name].row,
                url=data_url(shown_frame(cache.frames(name), data.frames), exact=exact),
                view=scans[name].view,
                cut=", ".join(column for column in ("crop", "mask") if getattr(scans[name], column)),
                warnings=tuple(warnings.get(name, ())),
            )
            for name in visit.scans
            if name in cache
        ]
        shown = _Visit(
            name=visit.visit,
            when="" if math.isnan(visit.day) else f"day {visit.day:g}",
            score=f"{visit.score:g}",
            change=CLASSES[pair.y] if pair else "",
            by=_signed(pair.score_later - pair.score_earlier) if pair else "",
            pictures=pictures,
        )
        visits.setdefault(visit.patient, []).append(shown)
    return visits.items()


def _signed(change: float) -> str:
    return f"{change:+.4g}" if change else "0"


def _rows(table: Any) -> Iterable[Any]:
    rows: Iterable[Any] = table.itertuples(index=False)
    return rows


def _by_warning(warnings: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The scans of each warning, in the order of their ids."""
    found: dict[str, list[str]] = {}
    for scan in sorted(warnings):
        for warning in warnings[scan]:
            found.setdefault(warning, []).append(scan)
    return found
