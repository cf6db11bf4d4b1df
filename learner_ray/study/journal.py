"""The Optuna studies of a sweep, in one journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.storages.journal import JournalFileBackend

if TYPE_CHECKING:
    from learner_ray.study.arm_search import StudyFactory


def optuna_studies(out: Path) -> StudyFactory:
    """Makes each search's Optuna study in one journal, written anew: the runs' files are the truth.

    Args:
        out: the study's results folder, which gets a file ``optuna.journal``.
    """
    journal = out / "optuna.journal"
    journal.unlink(missing_ok=True)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    return lambda name: optuna.create_study(storage=storage, study_name=name, direction="maximize")


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keeps Optuna from logging a line for every trial, which the study logs itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
