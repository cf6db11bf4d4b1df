"""The cohort that a run's source names."""

from __future__ import annotations

from dataclasses import replace

from learner_ray.cohort import MANIFEST, Cohort, format_of, load
from learner_ray.core.components import SOURCES
from learner_ray.run.object_storage import fetched
from learner_ray.run.spec import Source

PHANTOM = "phantom:"
"""Begins the path of a source whose scans are made up here."""


def open_cohort(source: Source) -> Cohort:
    """The cohort of a source; a phantom cohort is made first where this machine has none.

    Raises:
        UserError: the data are missing, not recognised or faulty.
    """
    if source.path.startswith(PHANTOM):
        from learner_ray.imaging.phantoms import phantom_cohort_path

        return load(phantom_cohort_path(source.path.removeprefix(PHANTOM)), modality=source.modality)
    path = fetched(source.path)
    return load(path, format=source.format, modality=source.modality, missing=source.missing)


def with_layout(source: Source) -> Source:
    """A source with the name of its layout, where that is a class of the user's or of another package: the
    processes that train find the class by this name, and recognise nothing themselves.

    Raises:
        UserError: there is nothing at the path, or it is not recognised.
    """
    if source.path.startswith(PHANTOM) or source.format is not None:
        return source
    name = format_of(fetched(source.path))
    return source if name in (MANIFEST, *SOURCES.built_in) else replace(source, format=name)
