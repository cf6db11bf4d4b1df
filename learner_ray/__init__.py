"""Distributed hyperparameter and ablation studies for longitudinal medical imaging.

The names of the Python API are loaded when they are first used: ``import learner_ray`` is light.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from learner_ray.core.lazy import lazy_names

if TYPE_CHECKING:
    from learner_ray.core.config import Config
    from learner_ray.core.errors import PlaceError, UserError
    from learner_ray.experiment import Experiment
    from learner_ray.study.options import SweepOptions
    from learner_ray.study.study import Arm, Study, Suggest
    from learner_ray.study.study_file import load_study
    from learner_ray.study.summary import SweepResult

try:
    __version__ = version("learner-ray")
except PackageNotFoundError:  # a checkout on the path of Python, not installed
    __version__ = "unknown"

__all__ = [
    "Arm",
    "Config",
    "Experiment",
    "PlaceError",
    "Study",
    "Suggest",
    "SweepOptions",
    "SweepResult",
    "UserError",
    "load_study",
]

_HOMES = {
    "Arm": "study.study",
    "Config": "core.config",
    "Experiment": "experiment",
    "PlaceError": "core.errors",
    "Study": "study.study",
    "Suggest": "study.study",
    "SweepOptions": "study.options",
    "SweepResult": "study.summary",
    "UserError": "core.errors",
    "load_study": "study.study_file",
}


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
