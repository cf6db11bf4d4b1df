"""The primary metric of a study: one of ours, of an installed package, or of the study's own file.

The study file is imported only where nothing else knows the name, and only where the user has named it: a
results folder that came from somebody else says itself which file that is.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from analysis.results.errors import ReportError
from analysis.results.study import StudyResults
from analysis.statistics.metrics import METRICS, ReportMetric

_log = logging.getLogger(__name__)
_named: dict[str, Path] = {}
"""The study files that the user has named, by their file names."""
_of_study_files: set[str] = set()
"""Names that study files brought. Another study's file may give the same name to another metric."""


def name_study_files(paths: Iterable[Path]) -> None:
    """Lets study files that the user has named be imported, where a study was made from a file of that name.

    Raises:
        ReportError: there is no such file.
    """
    for path in paths:
        if not path.is_file():
            raise ReportError(f"--study {path}: no such file; give the study file (.py)")
        _named[path.name] = path.resolve()


def primary_metric(study: StudyResults) -> ReportMetric:
    """Return the metric that a study's verdicts are about.

    Raises:
        ReportError: nobody knows it, the study file was not named or fails, or the metric is not as it must
            be.
    """
    name = study.primary_metric
    if name in METRICS and name not in _of_study_files:
        return METRICS[name]
    path = _study_file(study)
    try:
        content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from None
    return _defined_in(path, content_hash, name)


def _study_file(study: StudyResults) -> Path:
    """Find the file that the study was read from, among those that the user has named."""
    name, recorded = study.primary_metric, str(study.info.get("study_file") or "")
    known = ", ".join(METRICS)
    unknown = f"{study.folder / 'study.json'}: primary_metric is {name!r}, which is none of {known}"
    if not recorded:
        raise ReportError(
            f"{unknown}; nor is a study file recorded that could define it: define the metric in the study "
            "file or in an installed package and run the study's command again"
        )
    found = _named.get(Path(recorded).name)
    if found is None:
        raise ReportError(
            f"{unknown}; the study file {recorded} defines it: read that file, which can do all that you "
            "can, and name it with --study FILE, or install the package that the metric comes from"
        )
    return found


@functools.cache
def _defined_in(path: Path, content_hash: str, name: str) -> ReportMetric:
    """Import a study file and return the metric of a name; done again only when the file has changed."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_{content_hash[:12]}_report", path)
    if spec is None or spec.loader is None:
        raise ReportError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where Python looks for the file of a class
    before = set(METRICS)
    _log.info("%s: imported, for it defines the primary metric %s; SHA-256 %s", path, name, content_hash)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        raise ReportError(
            f"{path}: the study file that should define the primary metric {name!r} cannot be imported "
            f"({type(error).__name__}: {error})"
        ) from error
    finally:
        _of_study_files.update(set(METRICS) - before)
    if name not in METRICS:
        raise ReportError(
            f"{path}: defines no report metric {name!r}, though it is the study's primary_metric; known: "
            f"{', '.join(METRICS)}"
        )
    return METRICS[name]
