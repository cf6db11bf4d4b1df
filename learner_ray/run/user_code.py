"""The user's own Python files, from which a run takes its own components."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import traceback
from pathlib import Path
from types import ModuleType

from learner_ray.core.errors import UserError
from learner_ray.run.spec import Source


def own_objectives(source: Source) -> tuple[type, ...]:
    """The objectives of the study file that a run's source names.

    Raises:
        UserError: the file is gone, or is not what it was when the run was planned.
    """
    if not source.study_file:
        return ()
    if file_hash(Path(source.study_file)) != source.study_file_hash:
        raise UserError(
            f"{source.study_file} has changed since this run was planned, and its objective with it: restore "
            "the file, or start the study anew"
        )
    study = import_file(Path(source.study_file)).STUDY
    objectives: tuple[type, ...] = study.objectives
    return objectives


def file_hash(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"no study file at {path}")
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def import_file(path: Path) -> ModuleType:
    """The module of a file; as long as the file stays the same, the same module with the same classes."""
    return _import_content(path.resolve(), file_hash(path))


@functools.cache
def _import_content(path: Path, content_hash: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError as error:
        raise UserError(f"{path}{_line(error, path)}: {error}") from error
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        raise UserError(f"{path}{_line(error, path)}: {type(error).__name__}: {error}") from error
    return module


def _line(error: BaseException, path: Path) -> str:
    """Which line of a file an error comes from, as far as it is told."""
    if isinstance(error, SyntaxError):  # it names the line itself
        return ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
