"""Small trees of files, and an import of one as the command does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from learner_ray.cohort.sources.guess import guess, importer_of
from learner_ray.cohort.sources.importer import ImportOptions
from learner_ray.cohort.sources.importing import Imported, run_import

IMAGE = b"x" * 2000
"""Content of an image that no importer opens."""


def plant(root: Path, files: dict[str, str | bytes], encoding: str = "utf-8") -> Path:
    """Writes files below a folder by their paths, and returns the folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return root


def imported(
    path: Path,
    kind: str = "",
    *,
    out: Path | None = None,
    window: float | None = None,
    modality: str = "",
    **said: Any,
) -> Imported:
    """What the command would write of a path, by a kind or the one that is guessed; beside the path, unless
    ``out`` names another manifest."""
    importer = importer_of(kind) if kind else guess(path)[0]
    manifest = out or path.parent / "manifest.csv"
    options = ImportOptions(out=manifest, modality=modality, **said)
    return run_import(importer, path, options, lambda *_: None, window=window)


def cells(found: Imported, *columns: str) -> list[tuple[str, ...]]:
    """Some columns of the manifest's rows; of a path its last part."""
    return [
        tuple(Path(row["path"]).name if c == "path" else row.get(c, "") for c in columns)
        for row in found.rows
    ]


def reasons(found: Imported) -> dict[str, str]:
    """Why each was left out, by the last part of its path."""
    return {Path(each.path).name: each.reason for each in found.left_out}
