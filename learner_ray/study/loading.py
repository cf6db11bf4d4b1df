"""Finds a study by name or by the path of a user's own study file."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

import search_spaces
from learner_ray.errors import UserError
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
    return study


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"no study file at {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
