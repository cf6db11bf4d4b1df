"""Finds a study by name or by the path of a user's own study file."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import pkgutil
import traceback
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import search_spaces
from learner_ray.errors import UserError
from learner_ray.study.runs import Source
from learner_ray.study.study import Study


def study_names() -> list[str]:
    """The studies that come with the package."""
    return sorted(m.name for m in pkgutil.iter_modules(search_spaces.__path__) if not m.name.startswith("_"))


def load_study(name: str) -> Study:
    """The study of this name, or the one that a Python file declares as ``STUDY``.

    Raises:
        UserError: there is no such study, or the file declares none.
    """
    if name in study_names():
        module = importlib.import_module(f"search_spaces.{name}")
    elif name.endswith(".py"):
        module = _import_file(Path(name))
    else:
        known = ", ".join(study_names())
        raise UserError(
            f"no study is called {name!r}; known: {known}; or give the path of a study file (.py)"
        )
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise UserError(f"{name} declares no STUDY: it needs a line STUDY = Study(...)")
    return replace(study, file=str(Path(name).resolve())) if name.endswith(".py") else study


def with_code(source: Source, study: Study, objective: str) -> Source:
    """The source of a run that trains an objective: it names the study file where the objective is of it."""
    if objective not in {cls.name for cls in study.objectives}:  # type: ignore[attr-defined]
        return source
    return replace(source, study_file=study.file, study_file_hash=_hash(Path(study.file)))


def own_objectives(source: Source) -> tuple[type, ...]:
    """The objectives of the study file that a run's source names.

    Raises:
        UserError: the file is gone, or is not what it was when the run was planned.
    """
    if not source.study_file:
        return ()
    if _hash(Path(source.study_file)) != source.study_file_hash:
        raise UserError(
            f"{source.study_file} has changed since this run was planned, and its objective with it: restore "
            "the file, or start the study anew"
        )
    return load_study(source.study_file).objectives


def _hash(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"no study file at {path}")
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _import_file(path: Path) -> ModuleType:
    """The module of a file; as long as the file stays the same, the same module with the same classes."""
    return _import_content(path.resolve(), _hash(path))


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
