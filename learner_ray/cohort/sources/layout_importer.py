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
    LeftOut,
    Progress,
    ScoreRow,
)
from learner_ray.core.errors import UserError

_MORE = ("view", "site", "device", "age", "sex", "education_years", "spo2", "crop")


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
        return found_in(layout, path, options)


def found_in(layout: SourceLayout, path: Path, options: ImportOptions) -> Found:
    """Scans and scores of a folder, as a sweep reads them.

    Args:
        layout: how the folder is laid out.
        path: the folder.
        options: may not ask for scores of another table or kind.

    Raises:
        UserError: the folder is faulty, or the user wants other scores than its own.
    """
    cohort = layout.read(path, options.missing)
    other = options.score and options.score.casefold() != cohort.score.name.casefold()
    if options.scores is not None or options.columns or other:
        raise UserError(
            f"{path} brings its own score, {cohort.score.name}: leave out --score, --scores and --columns; "
            "for other scores list its scans in a table (learner-ray draft) and import that"
        )
    return _found(cohort, layout.left_out(path, options.missing))


def _found(cohort: Cohort, left_out: list[LeftOut]) -> Found:
    """Scans and scores of a cohort.

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
            mask=Path(scan["mask"]) if scan["mask"] else None,
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
