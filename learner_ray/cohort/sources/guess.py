"""Which kind of data lies at a path, how sure that is, and what else it could be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from learner_ray.cohort.sources.importer import Evidence, Importer, Sureness
from learner_ray.cohort.unrecognised import count_kinds, files_below
from learner_ray.core.components import IMPORTERS
from learner_ray.core.errors import UserError

_ORDER = get_args(Sureness)


def importer_of(kind: str) -> Importer:
    """The importer of a kind.

    Raises:
        UserError: there is none of this name.
    """
    found: Importer = IMPORTERS.get(kind)()
    return found


def guess(path: Path) -> tuple[Importer, str]:
    """The importer for a path, and a sentence that says why.

    Raises:
        UserError: no kind fits, or two fit equally well.
    """
    fits = _fits(path)
    if not fits:
        raise UserError(_unrecognised(path))
    sure = min((evidence.sure for _, evidence in fits), key=_ORDER.index)
    best = [(importer, evidence) for importer, evidence in fits if evidence.sure == sure]
    if len(best) > 1:
        both = " or ".join(f"{importer.name} ({evidence.because})" for importer, evidence in best)
        raise UserError(f"{path} may be {both}: name the kind before the path")
    importer, evidence = best[0]
    others = [f"{i.name} ({e.sure}: {e.because})" for i, e in fits if i.name != importer.name]
    said = f"kind: {importer.name} ({evidence.sure}: {evidence.because})"
    return importer, said + (f"; it could also be {', '.join(others)}" if others else "")


def evidence_of(importer: Importer, path: Path) -> Evidence | None:
    """Why a path may be of an importer's kind; None if it is not.

    Raises:
        UserError: the importer is the user's own, and fails.
    """
    with IMPORTERS.own_code(importer.name):
        return importer.evidence(path)


def _fits(path: Path) -> list[tuple[Importer, Evidence]]:
    found = []
    for name in IMPORTERS.names:
        importer = importer_of(name)
        evidence = evidence_of(importer, path)
        if evidence is not None:
            found.append((importer, evidence))
    return found


def _unrecognised(path: Path) -> str:
    inside = [f"  {importer.name}: {folder}" for folder, importer in _one_level_below(path)]
    if inside:
        return "\n".join(
            [f"{path} is of no known kind, but holds folders that are; give one of them:", *inside]
        )
    needs = [f"  {name}: {importer_of(name).needs}" for name in IMPORTERS.known_names]
    found = count_kinds(files_below(path)) if path.is_dir() else "a file"
    return "\n".join([f"{path} is of no known kind. Found: {found or 'no file'}", "Known kinds:", *needs])


def _one_level_below(path: Path) -> Iterator[tuple[Path, Importer]]:
    folders = sorted(p for p in path.iterdir() if p.is_dir()) if path.is_dir() else []
    for folder in folders[:50]:
        for importer, evidence in _fits(folder):
            if evidence.sure == "certain":
                yield folder, importer
