"""Where a study's results lie: in a folder, or in object storage and a copy of it here."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from learner_ray.core.errors import UserError
from learner_ray.core.locks import HeldError, locked_file
from learner_ray.run.folder import RunStore
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import RunResult
from learner_ray.study.study_json import parse_study, read_study

SECONDS_BETWEEN_PUBLISHING = 60.0
"""Time between two copies of a study's tables and curves; runs publish their files after every epoch."""


class Results(Callback):
    """A study's folder, with the runs beside it. As a callback it publishes the study's tables now and then.

    Args:
        address: the folder's path, or its URL in object storage.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._stored = StoredFolder.at(address) if is_url(address) else None
        self.out = self._stored.local if self._stored else Path(address)
        """On this machine."""
        self.store = RunStore(self.out.parent, self._stored.above if self._stored else None)
        self._published_at = -math.inf

    def address_of(self, name: str) -> str:
        """Where other processes and nodes find a file of the study."""
        return f"{self._stored.url}/{name}" if self._stored else str((self.out / name).resolve())

    @property
    def faults(self) -> Path:
        """Where faults are listed that are too many to print: beside the folder, which may not be there."""
        return self.out.with_name(f"{self.out.name}-faults.txt")

    def __str__(self) -> str:
        return f"{self.address} (copy in {self.out})" if self._stored else self.address

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps a second sweep of this machine out."""
        self.out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(locked_file(self.out / ".lock", within_s=0))
            except HeldError as error:
                raise UserError(
                    f"another sweep is writing to {self.address} ({error}): wait for it, or choose "
                    "another --out"
                ) from error
            yield

    def study(self) -> dict[str, Any] | None:
        """What ``study.json`` says, read where it lies and not from a copy; None where there is none.

        Raises:
            UserError: it was changed since it was written.
        """
        if self._stored is None:
            return read_study(self.out / "study.json")
        held = self._stored.holds("study.json")
        return parse_study(self._stored.read("study.json"), self.address_of("study.json")) if held else None

    def fetch(self) -> None:
        """Brings the study and its runs up to date, models apart."""
        if self._stored:
            self.publish_looks()  # a report on the copy has left them there, and a fetch would remove them
            self._stored.fetch()
            self.store.fetch()

    def publish_looks(self) -> None:
        """Tells the storage of looks at the results. What lies there is never another look of that name."""
        names = [f"looks/{path.name}" for path in (self.out / "looks").glob("*.json")]
        if self._stored and names:
            self._stored.publish(names)

    def publish(self) -> None:
        """Tells the storage of the study's own files."""
        if self._stored:
            # A run that begins again writes its curves anew, in a file of another name.
            self._stored.publish(whole="tensorboard")
            self._published_at = time.monotonic()

    def on_end(self, outcome: RunResult) -> None:
        if time.monotonic() - self._published_at > SECONDS_BETWEEN_PUBLISHING:
            self.publish()
