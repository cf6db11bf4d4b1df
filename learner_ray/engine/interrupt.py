"""Ends a study before all its runs have ended, on a signal or for a fault of the place."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune

from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.core.files import Standing, storage_fault


class Interrupt(tune.Stopper):  # type: ignore[misc]
    """Ends the experiment on SIGINT, on SIGTERM, for a fault of the place, where no worker group starts, and
    when its time is over.

    The caller says how to go on.

    Args:
        root: the folder of all runs.
        home: the study's own folder. Somebody may remove it, and then nothing is to be written there.
        is_over: says whether nothing more is to run, though runs are left.
    """

    def __init__(self, root: Path, home: Path, is_over: Callable[[], bool] = lambda: False) -> None:
        self.signal: int | None = None
        self.fault: PlaceError | None = None
        self.start_failure = ""
        """The reason why no worker group starts; empty while one may."""
        self.over = False
        """Whether all runs have ended, and only trials that hold a device put aside are left."""
        self._root = root
        self._is_over = is_over
        self._home, self._standing = home, Standing(home)

    def __getstate__(self) -> dict[str, Any]:
        """Without what Tune cannot write to its own files, which are never read."""
        return {name: value for name, value in vars(self).items() if name != "_is_over"}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop(self, fault: PlaceError) -> None:
        """Ends the experiment for a fault; of several faults the first is reported."""
        self.fault = self.fault or fault

    def stop_all(self) -> bool:
        """Whether the experiment ends now. Tune asks at every step of its loop."""
        self._look_at_home()
        stopped = self.signal is not None or self.fault is not None or bool(self.start_failure)
        return stopped or self.over or self._is_over()

    def _look_at_home(self) -> bool:
        """Whether the study's folder has gone."""
        gone = self._standing.has_gone
        if gone:
            self.stop(StorageError(f"{self._home} was removed, or its storage has gone"))
        return gone

    @contextmanager
    def watching_storage(self) -> Iterator[None]:
        """Ends the experiment where the driver cannot write, instead of letting Tune show a traceback."""
        try:
            yield
        except BrokenPipeError:  # nobody reads what we print any more
            self.signal = signal.SIGPIPE
        except PlaceError as error:
            self.stop(error)
        except UserError as error:  # a file that somebody has damaged meanwhile
            self.stop(PlaceError(str(error)))
        except Exception as error:  # Tune wraps what its own files say
            if self._look_at_home():
                return
            fault = storage_fault(error, self._root) if isinstance(error, OSError) else ""
            if not fault:
                raise
            self.stop(StorageError(fault))

    def __enter__(self) -> Interrupt:
        self._before = {s: signal.signal(s, self._receive) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._look_at_home()
        self._standing.close()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt  # asked a second time: at once
        self.signal = number
