"""Importers of the folders that a sweep reads directly: the manifest holds what the sweep would read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.dates import Moment
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.cohort.sources.importer import (
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    Progress,
    ScoreRow,
)

_MORE = ("view", "site", "device", "age", "sex", "education_years")


class LayoutImporter(Importer):
    """The importer of a layout: derive from it and name the layout."""

    layout: ClassVar[type[SourceLayout]]
    """The layout, by whose reader scans and scores are found."""

    def evidence(self, path: Path) -> Evidence | None:
        if not (path.is_dir() and self.layout().recognises(path)):
            return None
        return Evidence(sure="certain", because=f"it holds {self.layout.needs}")

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        layout = self.layout()
        return found_in(layout.read(path, options.missing), layout.left_out(path, options.missing))


def found_in(cohort: Cohort, left_out: list[Any]) -> Found:
    """Scans and scores of a cohort that was read from a folder.

    Args:
        cohort: has an order of visits; without days, the place in it is the label in a manifest.
        left_out: what the folder holds beside.
    """
    scans, scores = [], []
    for scan in _records(cohort):
        day = float(scan["day"])
        found = FoundScan(
            path=Path(scan["files"][0]),
            files=tuple(map(Path, scan["files"])) if len(scan["files"]) > 1 else (),
            patient=scan["patient"],
            visit=f"{scan['order']:g}" if math.isnan(day) else scan["visit"],
            when=None if math.isnan(day) else Moment(days=day, dated=False, clock=True),
            image=scan["scan"],
            more=_more(scan, cohort.ratings),
        )
        scans.append(found)
        scores.append(
            ScoreRow(
                table=Path(scan["source"]),
                row=int(scan["row"]),
                patient=found.patient,
                visit=found.visit,
                when=found.when,
                image=found.image,
                score=float(scan["score"]),
            )
        )
    return Found(
        scans=scans,
        scores=scores,
        left_out=left_out,
        notes=[*cohort.notes],
        modality=cohort.modality,
        name=cohort.name,
        score=cohort.score.name,
        temporal=cohort.temporal,
        rules=("scan",),
    )


def _records(cohort: Cohort) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in scan.items()} for scan in cohort.scans.to_dict("records")]


def _more(scan: Mapping[str, Any], ratings: Mapping[str, float]) -> dict[str, str]:
    """The cells of a scan that a manifest may hold beside."""
    cells = {name: scan[name] for name in _MORE} | {"rating": ratings.get(scan["scan"], "")}
    known = {name: cell for name, cell in cells.items() if cell != "" and cell == cell}
    return {name: f"{cell:g}" if isinstance(cell, float) else str(cell) for name, cell in known.items()}
