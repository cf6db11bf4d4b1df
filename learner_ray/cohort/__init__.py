"""Who was scanned, when, with what score: reading, checking, pairing and splitting a cohort."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.division import Division, DivisionAsked
from learner_ray.cohort.manifest import read_manifest
from learner_ray.cohort.score import CLASSES, DECLINE_CLASSES, MMSE, SEVERITY, SF_RATIO, Score
from learner_ray.cohort.sources.find import layout_of, needs, read, recognised
from learner_ray.cohort.splits import Fold, load_splits, make_splits, save_splits, splits_hash
from learner_ray.cohort.table import SUFFIXES
from learner_ray.cohort.unrecognised import about_folder, how_to_begin
from learner_ray.core.components import SOURCES
from learner_ray.core.errors import UserError

__all__ = [
    "CLASSES",
    "DECLINE_CLASSES",
    "MANIFEST",
    "MMSE",
    "SEVERITY",
    "SF_RATIO",
    "Cohort",
    "Division",
    "DivisionAsked",
    "Fold",
    "Score",
    "format_of",
    "load",
    "load_splits",
    "make_splits",
    "save_splits",
    "splits_hash",
]

MANIFEST = "manifest"
"""What ``--format`` calls a manifest; all else that it takes are names of sources."""


def load(
    path: str | os.PathLike[str], *, format: str | None = None, modality: str, missing: Sequence[str] = ()
) -> Cohort:
    """The cohort at a path: a manifest, a folder with one, or a folder laid out like a known source.

    Args:
        path: a ``.csv`` or ``.tsv`` manifest, or a folder.
        format: ``manifest`` or the name of a source; by default the path is recognised.
        modality: decides the score of a manifest that states none.
        missing: codes that stand for "no score"; such rows are left out, and a note counts them.

    Raises:
        UserError: there is nothing at the path, it is not recognised, or what is there is faulty.
    """
    name = format_of(path, format=format)
    path = _readable(path)
    manifest = _manifest(path)
    if name != MANIFEST or manifest is None:
        return read(layout_of(name), path, tuple(missing))
    return read_manifest(manifest, modality=modality, missing=missing)


def format_of(path: str | os.PathLike[str], *, format: str | None = None) -> str:
    """How what lies at a path is to be read: ``manifest``, or the name of a source.

    Args:
        path: as in :func:`load`.
        format: what the user says it is.

    Raises:
        UserError: there is nothing at the path, or it is not recognised, or not what the user says.
    """
    if format not in (None, MANIFEST) and not SOURCES.knows(format):
        raise UserError(f"--format {format} is unknown; known: {', '.join((MANIFEST, *SOURCES.names))}")
    path = _readable(path)
    manifest = _manifest(path)
    if format == MANIFEST and manifest is None:
        raise UserError(f"{path} holds no manifest.csv or manifest.tsv; give the manifest's own path")
    if format == MANIFEST or (format is None and manifest is not None):
        return MANIFEST
    if format is not None:
        layout = layout_of(format)
        if not (path.is_dir() and layout.recognises(path)):
            raise UserError(f"{path} is not in the layout {format}, which needs {layout.needs}")
        return format
    names = list(recognised(path))
    if len(names) != 1:
        raise UserError(_unrecognised(path, names))
    return names[0]


def _readable(path: str | os.PathLike[str]) -> Path:
    """A path that is there, and that this user may read."""
    remedy = "give a manifest (.csv, .tsv) or a data folder"
    try:
        there = Path(path).expanduser()
        there.stat()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; {remedy}") from error
    except (OSError, RuntimeError, ValueError) as error:  # a user, or a byte, that no path has
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}; {remedy}") from error
    if not os.fspath(path) or not (there.is_file() or there.is_dir()):
        raise UserError(f"{path or 'an empty path'} is neither a file nor a folder; {remedy}")
    if not os.access(there, os.R_OK | (os.X_OK if there.is_dir() else 0)):
        raise UserError(f"{path} cannot be read by this user; change its permissions, or {remedy}")
    return there


def _manifest(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES else None
    found = [path / f"manifest{suffix}" for suffix in SUFFIXES if (path / f"manifest{suffix}").is_file()]
    if len(found) > 1:
        raise UserError(f"{path} holds both {found[0].name} and {found[1].name}; give the path of one")
    return found[0] if found else None


def _unrecognised(path: Path, names: list[str]) -> str:
    if names:
        return f"{path} fits the layouts {' and '.join(names)}; choose with --format"
    if path.is_file():
        kind = f"{path} is no manifest; a manifest is a table with the suffix {' or '.join(SUFFIXES)}"
        return "\n".join([kind, *how_to_begin(path.parent)])
    return about_folder(path, needs())
