"""One import, from a path to the rows of a manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learner_ray.cohort.faults import Faults
from learner_ray.cohort.score import KNOWN, SF_RATIO, Score
from learner_ray.cohort.sources.importer import Found, Importer, ImportOptions, LeftOut, Progress
from learner_ray.cohort.sources.join import join, left, notes_of, of_one_visit, one_visit_per_score
from learner_ray.cohort.sources.oxygen import FLAT_ABOVE
from learner_ray.cohort.sources.scores import SF
from learner_ray.cohort.sources.writing import Row, rows_of
from learner_ray.core.components import IMPORTERS
from learner_ray.core.errors import UserError

WINDOW_DAYS = 90.0
"""How far a score may lie from its scan, unless the user says otherwise."""
SF_WINDOW_DAYS = 0.25
"""Six hours: an S/F ratio changes within a day."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import would write."""

    rows: Sequence[Row]
    """The rows of the manifest."""
    sidecar: Mapping[str, Any]
    """Its sidecar."""
    left_out: Sequence[LeftOut]
    """All that was left out, each with its reason."""
    notes: Sequence[str]
    """What was recognised, guessed and decided."""


def run_import(
    importer: Importer,
    path: Path,
    options: ImportOptions,
    progress: Progress,
    *,
    window: float | None = None,
    score: Score | None = None,
) -> Imported:
    """Finds scans and scores, and joins them. Writes no manifest; unless ``options`` ask for a dry run, an
    importer may make the files of scans that are stored in another form.

    Args:
        importer: for the kind of the path.
        path: what is imported.
        options: what the user said.
        progress: is called as files are looked at.
        window: days between a scan and its score; None for the usual.
        score: the score, where it is not a known one.

    Raises:
        UserError: something is faulty, or nothing is left; the message says what.
    """
    with IMPORTERS.own_code(importer.name):
        found = importer.find(path, options, progress)
    if not isinstance(found, Found):
        raise UserError(f"the importer {importer.name!r} finds {found!r}, which is no Found")
    modality = options.modality or found.modality
    if not modality:
        raise UserError(
            "what kind of scans they are is not known: give --modality (lus, mri or another word)"
        )
    stated = _score(options.score or options.columns.get("score", "") or found.score, score)
    usual = SF_WINDOW_DAYS if options.score == SF or stated.name == SF_RATIO.name else WINDOW_DAYS
    days = usual if window is None else window
    _check_range(found, stated)
    joined, unscored = join(found.scans, found.scores, days, found.rules)
    single, repeats = of_one_visit(joined)
    kept, shared = one_visit_per_score(single)
    if not options.dry_run:
        with IMPORTERS.own_code(importer.name):
            unmade = importer.make_files([each.scan for each in kept], progress)
        shared += [left(each.scan, unmade[each.scan.path]) for each in kept if each.scan.path in unmade]
        kept = [each for each in kept if each.scan.path not in unmade]
    notes = [*found.notes, *notes_of(kept, days)]
    notes += _unmatched(found, len({id(each.score) for each in kept}), options)
    rows, untimed = rows_of(kept, options.out, notes)
    rows = _flagged(rows, notes)
    left_out = [*found.left_out, *unscored, *repeats, *shared, *untimed]
    sidecar = _sidecar(found, modality, stated)
    return Imported(rows=rows, sidecar=sidecar, left_out=left_out, notes=notes)


def _unmatched(found: Found, used: int, options: ImportOptions) -> list[str]:
    """Notes about a preference that no image meets, and scores that no scan has."""
    named = not options.prefer or any(options.prefers(str(scan.path)) for scan in found.scans)
    notes = [] if named else [f"--prefer {options.prefer}: no image is named so"]
    unused = sum(not math.isnan(row.score) for row in found.scores) - used
    return [*notes, f"{unused} scores belong to no scan that was found"] if unused else notes


def _flagged(rows: Sequence[Row], notes: list[str]) -> list[Row]:
    """The rows, with a flag where the saturation is too high for S/F to tell much; a note counts them."""
    flag = f"SpO2 above {FLAT_ABOVE:g} %"
    flagged = [{**row, "flag": flag} if float(row.get("spo2") or 0) > FLAT_ABOVE else row for row in rows]
    count = sum("flag" in row for row in flagged)
    if count:
        notes.append(f"{count} scans have an {flag}, where S/F tells little (column flag)")
    return flagged


def _sidecar(found: Found, modality: str, score: Score) -> dict[str, Any]:
    """What the sidecar says of the whole cohort."""
    stated = score.name if KNOWN.get(score.name) == score else score.to_dict()
    sidecar: dict[str, Any] = {"modality": modality, "score": stated}
    sidecar |= {"name": found.name} if found.name else {}
    return sidecar if found.temporal else {**sidecar, "temporal": False}


def _score(name: str, own: Score | None) -> Score:
    """The score that a sidecar states.

    Raises:
        UserError: it is not a known one, and the user does not describe it.
    """
    if own is not None:
        return own
    known = {each.casefold(): score for each, score in KNOWN.items()} | {SF: SF_RATIO}
    if not name:
        raise UserError(f"name the score in --score, such as {', '.join((*KNOWN, SF))}, or a column's name")
    if name.casefold() not in known:
        raise UserError(
            f"score {name!r} is not a known one ({', '.join((*KNOWN, SF))}): describe it with --score-range "
            "LOW,HIGH --healthier higher|lower --change LEAST"
        )
    return known[name.casefold()]


def _check_range(found: Found, score: Score) -> None:
    """Refuses scores out of range, by the row of their table.

    Raises:
        UserError: there are such; all are listed.
    """
    by_table: dict[Path, Faults] = {}
    for row in found.scores:
        if row.score < score.low or row.score > score.high:
            by_table.setdefault(row.table, Faults(str(row.table))).add(
                row.row,
                f"{score.name} {row.score:g} is outside {score.low:g} to {score.high:g}; correct it, or name "
                "the code of a missing score in --missing",
            )
    for faults in by_table.values():
        faults.raise_any()
