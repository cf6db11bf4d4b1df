"""A run and the lock on its folder, in the process that trains it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

from learner_ray.core.errors import StorageError
from learner_ray.run.folder import RunFolder, locked


class Run(Protocol):
    """A run that is advanced by the epoch until its folder says that it has ended."""

    @property
    def last_row(self) -> dict[str, Any] | None:
        """The progress of the last finished epoch, of before a restart too."""

    def advance(self) -> dict[str, Any] | None:
        """Runs one epoch and returns its progress, or None where the run ended instead."""


class RunInHand(Protocol):
    """The run of a trial, wherever it is trained."""

    folder: RunFolder | None
    """Its folder, once it was asked for."""

    def advance(self) -> tuple[dict[str, Any] | None, bool]:
        """Trains the next epoch: its row, and whether that is of before a restart."""

    def close(self) -> None:
        """Lets go of the run."""


class LockedRun:
    """The run of a folder, opened at its first epoch. Its folder is locked from then on: the process that
    writes holds the lock, so no two processes ever write into one folder.

    Args:
        address: of the folder.
        open_run: opens the run once the folder is locked.
    """

    def __init__(self, address: str, open_run: Callable[[RunFolder], Run]) -> None:
        self._address = address
        self._open_run = open_run
        self.folder: RunFolder | None = None
        """The folder, once it was asked for."""
        self._run: Run | None = None
        self._held = ExitStack()

    def advance(self) -> tuple[dict[str, Any] | None, bool]:
        """Trains the next epoch.

        Returns:
            Its row, None where the run has ended; and whether the row is that of the last epoch of before a
            restart, since whether the run goes on after it is not known.

        Raises:
            HeldError: another process trains the run.
            StorageError: the folder has gone.
        """
        if self._run is None:
            folder = self.folder = RunFolder.at(self._address)
            self._held.enter_context(locked(folder))
            folder.fetch()
            if folder.state is not None:
                return None, False
            self._run = self._open_run(folder)
            if self._run.last_row is not None:
                return self._run.last_row, True
        assert self.folder is not None
        if self.folder.state is not None:
            return None, False
        if not self.folder.path.exists():
            raise StorageError(f"{self.folder.path} was removed, or its storage has gone")
        return self._run.advance(), False

    def close(self) -> None:
        """Drops the run and lets go of its folder."""
        self._run = None
        self._held.close()
