"""Whether a report is still that of its results: it remembers the hashes of the files it was made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from analysis.errors import ReportError
from analysis.load import Study

SOURCES = "sources.json"
FILES = ("study.json", "ledger.parquet", "trials.parquet", "scores.parquet")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def write_sources(studies: Sequence[Study], out: Path) -> None:
    """Write OUT/sources.json: every file the report was made from, with its SHA-256; paths are from OUT."""
    sources = {
        os.path.relpath(study.folder, out): {name: _digest(study.folder / name) for name in FILES}
        for study in studies
    }
    (out / SOURCES).write_text(json.dumps(sources, indent=1), encoding="utf-8")


def check(report: Path) -> list[str]:
    """What changed since the report was made, one sentence per file; empty when it is up to date.

    Raises:
        ReportError: the folder holds no report.
    """
    path = report / SOURCES
    if not path.is_file():
        raise ReportError(f"{report}: holds no {SOURCES}, so it is no report; write one with --out {report}")
    changed = []
    for folder, files in json.loads(path.read_text(encoding="utf-8")).items():
        for name, digest in files.items():
            source = Path(os.path.normpath(report / folder / name))
            now = _digest(source)
            if now != digest:
                what = "is gone" if now == "absent" else "is new" if digest == "absent" else "has changed"
                changed.append(f"{source} {what} since the report in {report} was made")
    return changed
