"""The tracker that a sweep was asked for."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from learner_ray.core.errors import UserError
from learner_ray.run.folder import RunStore
from learner_ray.study.callback import Callback
from learner_ray.tracking.destination import Destination
from learner_ray.tracking.tracker import Tracker

logger = logging.getLogger(__name__)


@contextmanager
def tracking(name: str | None, out: Path, store: RunStore, *, phantom: bool) -> Iterator[Callback]:
    """What sends a study's runs to a tracker, for as long as the study runs.

    Args:
        name: ``mlflow`` or ``wandb``, whose library is there (:func:`require_library`); None for no tracker.
        out: the study's results folder, whose name is the study's there.
        store: the folders of all runs.
        phantom: whether the study's scans are made up.
    """
    if name is None:
        yield Callback()
        return
    study = out.resolve().name
    destination = _destination(name, study, out)
    tracker = Tracker(destination, study, out, store, phantom=phantom)
    try:
        yield tracker
    finally:
        tracker.close()
        if destination.opened_with:
            logger.info(f"The runs as {name} shows them:\n  {destination.opened_with}")


def require_library(name: str) -> None:
    """Refuses a tracker whose library is not installed.

    Raises:
        UserError: it is not.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:  # a folder of that name, as W&B leaves one, is no library
        raise UserError(f"--track {name} needs its library: pip install 'learner-ray[{name}]'")


def _destination(name: str, study: str, out: Path) -> Destination:
    if name == "mlflow":
        from learner_ray.tracking.mlflow import Mlflow

        return Mlflow(study, out)
    from learner_ray.tracking.wandb import Wandb

    return Wandb(study, out)
