"""The Optuna studies of a sweep, in one journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages.journal import BaseJournalBackend

if TYPE_CHECKING:
    from learner_ray.study.arm_search import StudyFactory


def optuna_studies(out: Path) -> StudyFactory:
    """Makes each search's Optuna study in one journal, written anew: the runs' files are the truth.

    Args:
        out: the study's results folder, which gets a file ``optuna.journal``.
    """
    storage = optuna.storages.JournalStorage(_Journal(out / "optuna.journal"))
    return lambda name: optuna.create_study(storage=storage, study_name=name, direction="maximize")


class _Journal(BaseJournalBackend):
    """A journal that one process writes, and others, such as optuna-dashboard, only read.

    Optuna's own locks the file, flushes it to disk and reads it again at each entry, of which a trial has one
    per epoch and a few more. One sweep alone may write to a results folder, and what a power cut takes away
    is written anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unread: list[dict[str, Any]] = []
        path.write_bytes(b"")

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        # Opened each time, so that a study of which Tune makes a copy holds no open file.
        with open(self._path, "a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        self._unread += map(json.loads, lines)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The entries since the last call: the one storage that there is reads each of its own once."""
        unread, self._unread = self._unread, []
        return unread


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keeps Optuna from logging a line for every trial, which the study logs itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
