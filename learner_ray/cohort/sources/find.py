"""Which source a folder is laid out like: named by the user, or recognised."""

from __future__ import annotations

from pathlib import Path

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.core.components import SOURCES
from learner_ray.core.errors import UserError


def recognised(folder: Path) -> dict[str, SourceLayout]:
    """The sources that a folder is laid out like, by name.

    Packages that bring sources of their own (entry points ``learner_ray.source``) are loaded only where none
    of the others recognises the folder.
    """
    if not folder.is_dir():
        return {}
    return _recognised(folder, SOURCES.known_names) or _recognised(folder, SOURCES.names)


def _recognised(folder: Path, names: list[str]) -> dict[str, SourceLayout]:
    layouts = {name: layout_of(name) for name in names}
    return {name: layout for name, layout in layouts.items() if _asked(layout, folder)}


def layout_of(name: str) -> SourceLayout:
    """The source of a name.

    Raises:
        UserError: there is none of this name.
    """
    found: SourceLayout = SOURCES.get(name)()
    return found


def needs() -> dict[str, str]:
    """What the folders of each source must hold, in words, by the source's name."""
    return {name: layout_of(name).needs for name in SOURCES.known_names}


def read(layout: SourceLayout, folder: Path, missing: tuple[str, ...]) -> Cohort:
    """The cohort that a source reads from a folder.

    Raises:
        UserError: the folder is faulty, or a user's own source is.
    """
    with SOURCES.own_code(layout.name):
        cohort = layout.read(folder, missing)
    if not isinstance(cohort, Cohort):
        raise UserError(f"the source {layout.name!r} reads {cohort!r}, which is no Cohort")
    return cohort


def _asked(layout: SourceLayout, folder: Path) -> bool:
    with SOURCES.own_code(layout.name):
        return bool(layout.recognises(folder))
