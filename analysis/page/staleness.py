"""Whether a report is still up to date: it remembers the hashes of the files it was made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from analysis.results.errors import ReportError
from analysis.results.explanations import INDEX
from analysis.results.study import StudyResults
from analysis.statistics.report_metric import source_file
from analysis.statistics.study_metric import primary_metric

SOURCES = "sources.json"
TABLES = ("ledger", "trials", "audits", "finals", "scores", "permutations", "ratings", "external")
SOURCE_FILES = ("study.json", *(f"{name}.parquet" for name in TABLES), INDEX)
"""Files of a results folder that a report is made from."""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def write_sources(studies: Sequence[StudyResults], out: Path) -> None:
    """Write OUT/sources.json: the SHA-256 of every file the report was made from, by the results folder it
    belongs to (relative to OUT) and its path from there.

    Raises:
        OSError: it cannot be written.
        ReportError: a study names a primary metric that does not exist or cannot be had.
    """
    sources = {
        os.path.relpath(study.folder, out): {
            name: _digest(study.folder / name) for name in _source_files(study)
        }
        for study in studies
    }
    (out / SOURCES).write_text(json.dumps(sources, indent=1), encoding="utf-8")


def _source_files(study: StudyResults) -> list[str]:
    """The files of one study, and the one that defines its primary metric where that is the user's own."""
    code = source_file(primary_metric(study))
    return [*SOURCE_FILES, *([os.path.relpath(code, study.folder)] if code else [])]


def changed_sources(report: Path) -> list[str]:
    """List what has changed since the report was made, one sentence per file; empty when it is up to date.

    Raises:
        ReportError: the folder holds no report, or one whose list of sources is damaged.
    """
    path = report / SOURCES
    if not path.is_file():
        raise ReportError(
            f"{report}: holds no {SOURCES}, so it is not a report; write one with --out {report}"
        )
    damaged = ReportError(
        f"{path}: cannot be read, so it is not known whether the report is up to date; write the report again"
    )
    try:
        sources = json.loads(path.read_text(encoding="utf-8"))
        known = [
            (folder, name, digest) for folder, files in sources.items() for name, digest in files.items()
        ]
    except (OSError, ValueError, AttributeError, RecursionError):
        raise damaged from None
    changed = []
    for folder, name, digest in known:
        source = Path(os.path.normpath(report / folder / name))
        now = _digest(source)
        if now != digest:
            what = "is gone" if now == "absent" else "is new" if digest == "absent" else "has changed"
            changed.append(f"{source} {what} since the report in {report} was made")
    return changed
