"""Run identity and a run's own files, which are the only truth of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from learner_ray.core.files import write_json
from learner_ray.core.locks import HeldError, locked_file
from learner_ray.core.modes import stay_closed_to_others
from learner_ray.run.integrity import (
    ELSEWHERE,
    MODELS,
    DamagedError,
    difference,
    listed,
    read_end,
    read_object,
)
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.run.progress import read_rows
from learner_ray.run.spec import RunSpec
from learner_ray.run.states import State
from learner_ray.run.unlisted import unreadable
from learner_ray.run.user_code import file_hash

ERROR = "error.txt"
"""File with the whole traceback of a run that failed."""


class RunFolder:
    """The files of one run below ``runs/``: each is written whole or not at all."""

    def __init__(
        self,
        path: Path,
        stored: StoredFolder | None = None,
        stored_models: Mapping[str, int] | None = None,
    ) -> None:
        """Opens the folder of a run.

        Args:
            path: the folder on this machine.
            stored: the folder in object storage, where ``path`` is its copy.
            stored_models: sizes in bytes of the models in object storage, which the copy may lack.
        """
        self.path = path
        self._stored = stored
        self._stored_models = stored_models

    @classmethod
    def at(cls, address: str) -> RunFolder:
        """The folder at a path or, through its copy here, at a URL of object storage."""
        if not is_url(address):
            return cls(Path(address))
        stored = StoredFolder.at(address)
        return cls(stored.local, stored)

    @property
    def address(self) -> str:
        """The path or URL by which other processes and nodes find the folder."""
        return self._stored.url if self._stored else str(self.path.resolve())

    def fetch(self, *, models: bool = True) -> None:
        """Brings the files up to date where they are a copy of those in object storage."""
        if self._stored:
            self._stored.fetch(without="" if models else MODELS)

    def publish(self, *names: str) -> None:
        """Uploads these files, or all, where the folder is a copy of one in object storage."""
        if self._stored:
            self._stored.publish(names or None, last=(self.checkpoint.name, "state.json"))

    @property
    def state(self) -> dict[str, Any] | None:
        """How the run ended, as ``state`` and ``reason``; None while it has not ended, and where its end
        cannot be read: see :meth:`fault`."""
        try:
            end = read_end(self.path)
        except DamagedError:
            return None
        return end and {"state": end["state"], "reason": end["reason"]}

    def fault(self, run_hash: str, *, models: bool = False) -> str:
        """Says which file of a run that has ended is missing or is not the one that the run wrote.

        Where the folder is a copy, the files in object storage are checked, and models there by their size.

        Args:
            run_hash: hash of the run that should lie in this folder.
            models: read encoders too, instead of comparing their sizes alone.

        Returns:
            A sentence without its full stop; empty where every file is whole or the run has not ended.
        """
        fault = self._fault(run_hash, models)
        if fault and self._stored:  # or is it the copy alone, or what was known of the models there?
            self._stored.forget()
            known = self._stored.fetch(without="" if models else MODELS)
            self._stored_models = None if models else known
            fault = self._fault(run_hash, models)
        return fault

    def _fault(self, run_hash: str, models: bool) -> str:
        try:
            end = read_end(self.path)
            if end is None:
                return ""
            spec = self._read_spec()
        except DamagedError as error:
            return str(error)
        if spec.hash != run_hash:
            return f"config.json is of run {spec.hash}"
        if "files" not in end:
            return unreadable(self.path, end, spec, self._stored_models)
        return difference(self.path, end["files"], self._stored_models, models=models)

    def begin_anew(self, run_hash: str) -> None:
        """Removes the files of a run with a :meth:`fault`, ``state.json`` first, so that the run is trained
        anew."""
        try:
            with locked(self):
                if self.fault(run_hash):
                    self._clear()
        except HeldError:
            return  # another sweep has found the same fault and is training the run

    def _clear(self) -> None:
        (self.path / ELSEWHERE).unlink(missing_ok=True)
        if self._stored:
            self._stored.clear(first="state.json", keep="config.json")
            return
        (self.path / "state.json").unlink(missing_ok=True)
        for path in self.path.iterdir():
            if path.is_file() and path.name not in ("config.json", ".lock"):
                path.unlink()

    @property
    def checkpoint(self) -> Path:
        """The file of the last epoch that was saved; it exists only while the run has not ended."""
        return self.path / "last.pt"

    def drop_checkpoint(self) -> None:
        """Removes the checkpoint, if there is one."""
        if self._stored:
            self._stored.remove(self.checkpoint.name)
        else:
            self.checkpoint.unlink(missing_ok=True)

    def progress(self) -> list[dict[str, Any]]:
        """One dictionary per finished epoch, up to the first line that cannot be read."""
        return read_rows(self.path / "progress.jsonl")[0]

    def write_spec(self, spec: RunSpec) -> None:
        """Writes ``config.json``, unless it says the same already."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            if self._read_spec() == spec:
                return
        except DamagedError:
            pass
        write_json(self.path / "config.json", spec.to_dict())
        self.publish("config.json")

    def read_spec(self) -> RunSpec:
        """The specification of the run.

        Raises:
            DamagedError: there is no ``config.json``, or it does not describe a run.
        """
        try:
            return self._read_spec()
        except DamagedError as error:
            raise DamagedError(f"{self.path}: {error}") from error

    def _read_spec(self) -> RunSpec:
        values = read_object(self.path / "config.json")
        if values is None:
            raise DamagedError("there is no config.json, so this is not the folder of a run")
        return RunSpec.from_dict(values)

    def finish(self, state: State, reason: str = "") -> None:
        """Writes ``state.json``, which never changes afterwards, and removes the checkpoint."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self.state is None:
            self.fetch(models=False)  # of a copy: the process that trained the run may be on another machine
            write_json(
                self.path / "state.json", {"state": state, "reason": reason, "files": listed(self.path)}
            )
            self.publish("state.json")
        self.drop_checkpoint()

    def reopen(self) -> None:
        """Forgets how the run ended, so that it is trained again."""
        for name in ("state.json", ERROR):
            if self._stored:
                self._stored.remove(name)
            else:
                (self.path / name).unlink(missing_ok=True)


@contextmanager
def locked(folder: RunFolder, *, within_s: float = 0.0) -> Iterator[None]:
    """Locks a run's folder; the lock file names the host and process that hold it. From here on this process
    writes files that are closed to others.

    Args:
        folder: the run's folder.
        within_s: how long to wait for another holder, in seconds.

    Raises:
        HeldError: another process trains the run, and holds the folder still then. A caller that waits longer
            must say so to the user.
    """
    stay_closed_to_others(folder.path.parent.parent)
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked_file(folder.path / ".lock", within_s=within_s):
        yield


class RunStore:
    """All runs of one results root, by hash, shared by its studies."""

    _kind: type[RunFolder] = RunFolder

    def __init__(self, root: Path, stored: StoredFolder | None = None) -> None:
        """Opens the runs of a results root.

        Args:
            root: the results root on this machine.
            stored: the results root in object storage, where ``root`` is its copy.
        """
        self.root = root / "runs"
        self._stored = stored.below("runs") if stored else None
        self._stored_models: dict[str, dict[str, int]] = {}
        """Sizes of the models in the storage at the last fetch, by run and name."""

    def folder(self, run_hash: str) -> RunFolder:
        """The folder of a run, whether it exists or not."""
        path = self.root / run_hash
        if not self._stored:
            return self._kind(path)
        return self._kind(path, self._stored.below(run_hash), self._stored_models.get(run_hash, {}))

    def as_recorded(self, spec: RunSpec) -> RunSpec:
        """A run under the name that it has here: commit 3590708 named runs with a loss of the user's own by
        the whole study file, and such a run keeps its name as long as that file is as it was."""
        if not spec.source.study_file:
            return spec
        before = replace(spec.source, components=(), study_file_hash=file_hash(Path(spec.source.study_file)))
        old = replace(spec, source=before)
        return old if (self.root / old.hash / "config.json").exists() else spec

    def fetch(self) -> None:
        """Brings all runs up to date, apart from their models, where they are copies of object storage."""
        if self._stored:
            for name, size in self._stored.fetch(without=MODELS).items():
                run_hash, _, file = name.rpartition("/")
                self._stored_models.setdefault(run_hash, {})[file] = size
