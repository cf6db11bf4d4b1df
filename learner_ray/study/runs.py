"""Run identity and a run's own files, which are the only truth of a study."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from learner_ray.config import Config
from learner_ray.errors import UserError
from learner_ray.files import write_json
from learner_ray.object_storage import StoredFolder, is_url

MODELS = "*.pt"
"""Encoders and checkpoints: nearly all of a run's bytes, and no table or figure needs them."""

ERROR = "error.txt"
"""Why a run has failed, in full."""

State = Literal["complete", "stopped", "failed", "diverged"]


@dataclass(frozen=True, kw_only=True)
class Patients:
    """The very patients a run may see, by role. Roles are disjoint, except that a classifier may be fitted on
    the patients of pretraining."""

    pretrain: tuple[str, ...] = ()
    classifier: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fitted = {*self.pretrain, *self.classifier}
        if fitted & {*self.validation, *self.test} or {*self.validation} & {*self.test}:
            raise ValueError("a patient who is fitted on may be neither validated nor tested on")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a run finds its cohort; not part of its identity, which holds the cohort's hash instead."""

    path: str
    """A manifest or folder, or ``phantom:<modality>``."""
    format: str | None = None
    modality: str = "lus"
    cohort_hash: str = ""
    bad_scans: tuple[str, ...] = ()
    """Scans left out under ``--skip-bad``."""
    study_file: str = ""
    """The study file that defines the run's objective; empty where the package does."""
    study_file_hash: str = ""
    """SHA-256 of that file, part of the identity."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One trial or final run, complete: whoever holds it can train it anywhere."""

    config: Config
    patients: Patients
    source: Source
    threads: int = 1
    recorded_hash: str = field(default="", compare=False)
    """What a run read from its file is called: a version with fewer keys named it by those it had."""

    @property
    def is_final(self) -> bool:
        return bool(self.patients.test)

    @cached_property
    def hash(self) -> str:
        """Configuration, cohort, patients, seed and precision; 16 hexadecimal digits."""
        return self.recorded_hash or self._hash(self.config.to_dict())

    def _hash(self, config: Mapping[str, Any]) -> str:
        identity: dict[str, Any] = {
            "config": config,
            "cohort": self.source.cohort_hash,
            "bad_scans": sorted(self.source.bad_scans),
            "patients": {role: sorted(who) for role, who in asdict(self.patients).items()},
        }
        if self.source.study_file_hash:
            identity["study_file"] = self.source.study_file_hash
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        return {
            "run_hash": self.hash,
            "config": self.config.to_dict(),
            "patients": asdict(self.patients),
            "source": asdict(self.source),
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """What ``to_dict`` gave, now or in a version with fewer keys, which then have their defaults.

        Raises:
            UserError: the dictionary is no run's, or was edited so that its hash is another's.
        """
        try:
            patients = Patients(**{role: tuple(who) for role, who in values["patients"].items()})
            source = {**values["source"], "bad_scans": tuple(values["source"].get("bad_scans", ()))}
            spec = cls(
                config=Config.from_dict(values["config"]),
                patients=patients,
                source=Source(**source),
                threads=values["threads"],
                recorded_hash=values["run_hash"],
            )
            described = spec._hash(values["config"])
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"not the config.json of a run: {error}") from error
        if described != spec.recorded_hash:
            raise UserError(
                f"config.json was changed: it says run {spec.recorded_hash} but describes run {described}"
            )
        return spec


class RunFolder:
    """The files of one run below ``runs/``: each is written whole or not at all."""

    def __init__(self, path: Path, stored: StoredFolder | None = None) -> None:
        self.path = path
        self._stored = stored

    @classmethod
    def at(cls, address: str) -> RunFolder:
        """The folder at a path or, through its copy here, at a URL of object storage."""
        if not is_url(address):
            return cls(Path(address))
        stored = StoredFolder.at(address)
        return cls(stored.local, stored)

    @property
    def address(self) -> str:
        """What other processes and nodes find it by."""
        return self._stored.url if self._stored else str(self.path.resolve())

    def fetch(self, *, models: bool = True) -> None:
        """Brings the files up to date where they are a copy of those in object storage."""
        if self._stored:
            self._stored.fetch(without="" if models else MODELS)

    def publish(self, *names: str) -> None:
        """Tells the storage, where the files are a copy: of these files, or of all."""
        if self._stored:
            self._stored.publish(names or None, last=(self.checkpoint.name, "state.json"))

    @property
    def state(self) -> dict[str, Any] | None:
        """How the run ended, or None while it has not."""
        return _read_json(self.path / "state.json")

    @property
    def checkpoint(self) -> Path:
        """Of the last epoch that was saved, while the run has not ended."""
        return self.path / "last.pt"

    def progress(self) -> list[dict[str, Any]]:
        """One dictionary per finished epoch. A last line that a crash cut short is left out."""
        try:
            lines = (self.path / "progress.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        rows = []
        for line in lines:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def write_spec(self, spec: RunSpec) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "config.json").exists():
            write_json(self.path / "config.json", spec.to_dict())
            self.publish("config.json")

    def read_spec(self) -> RunSpec:
        values = _read_json(self.path / "config.json")
        if values is None:
            raise UserError(f"no run at {self.path}: config.json is missing")
        return RunSpec.from_dict(values)

    def finish(self, state: State, reason: str = "") -> None:
        """Writes how the run ended, which never changes afterwards, and drops what only a restart needs."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self.state is None:
            write_json(self.path / "state.json", {"state": state, "reason": reason})
            self.publish("state.json")
        if self._stored:
            self._stored.remove(self.checkpoint.name)
        else:
            self.checkpoint.unlink(missing_ok=True)

    def reopen(self) -> None:
        """Forgets how the run ended, so that it is trained again."""
        for name in ("state.json", ERROR):
            if self._stored:
                self._stored.remove(name)
            else:
                (self.path / name).unlink(missing_ok=True)


class HeldError(Exception):
    """Somebody else trains the run."""


@contextmanager
def locked(folder: RunFolder, *, within_s: float = 0.0) -> Iterator[None]:
    """Holds a run's folder; the lock names its holder.

    Args:
        folder: the run's.
        within_s: how long to wait for whoever else holds it, in seconds.

    Raises:
        HeldError: it is still held then. Whoever waits longer must be able to say that it waits.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + within_s
    with open(folder.path / ".lock", "a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise HeldError(folder.address) from error
                time.sleep(0.05)
        handle.truncate(0)
        print(socket.gethostname(), os.getpid(), file=handle, flush=True)
        yield


def objective_of(row: Mapping[str, Any]) -> float:
    """The objective of a progress row; NaN where it has none (JSON writes NaN as null)."""
    value = row.get("objective")
    return math.nan if value is None else float(value)


class RunStore:
    """All runs of one results root, by hash, shared by its studies."""

    def __init__(self, root: Path, stored: StoredFolder | None = None) -> None:
        """Args: stored: the results root in object storage, where ``root`` is its copy."""
        self.root = root / "runs"
        self._stored = stored.below("runs") if stored else None

    def folder(self, run_hash: str) -> RunFolder:
        return RunFolder(self.root / run_hash, self._stored.below(run_hash) if self._stored else None)

    def fetch(self) -> None:
        """Brings all runs up to date, but for their models, where they are copies."""
        if self._stored:
            self._stored.fetch(without=MODELS)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is damaged ({error}); remove the folder {path.parent} to run it again"
        ) from error
    return values
