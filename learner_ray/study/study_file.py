"""Finds a study by name or by the path of a user's own study file."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from dataclasses import replace
from pathlib import Path

from learner_ray.core.errors import UserError
from learner_ray.run.user_code import import_file
from learner_ray.study.study import Study

RECIPES = "search_spaces"
"""Package of the studies that come with this one. They import this one, so it finds them by name alone."""


def study_names() -> list[str]:
    """The names of the studies that come with the package."""
    folder = importlib.import_module(RECIPES).__path__
    return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))


def load_study(name: str) -> Study:
    """The study of this name, or the one that a Python file declares as ``STUDY``.

    Raises:
        UserError: there is no such study, or the file declares none.
    """
    if name in study_names():
        module = importlib.import_module(f"{RECIPES}.{name}")
    elif name.endswith(".py"):
        module = import_file(Path(name))
    else:
        known = ", ".join(study_names())
        raise UserError(
            f"no study is called {name!r}; known: {known}; or give the path of a study file (.py)"
        )
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise UserError(f"{name} declares no STUDY: it needs a line STUDY = Study(...)")
    return replace(study, file=str(Path(name).resolve())) if name.endswith(".py") else study
