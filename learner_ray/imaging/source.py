"""The cohort that a run's source names."""

from __future__ import annotations

from learner_ray.cohort import Cohort, load
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
