"""Tells whether a run caused what went wrong, or its surroundings did. Nothing here decides what follows."""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    WorkerCrashedError,
)

from learner_ray.core.errors import PlaceError, StorageError, UserError, causes
from learner_ray.core.files import storage_fault

DEATHS = (RayActorError, OutOfMemoryError, NodeDiedError, WorkerCrashedError, LocalRayletDiedError)
"""The exceptions by which Ray tells that a process, or its node, is no more."""

DIED = "its process died (out of memory, or killed)"

MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "ALLOC_FAILED",
    "running low on memory",
)
"""In messages of PyTorch, CUDA, cuBLAS and Ray; in lower or upper case."""

OWN_DEVICE_WORDS = ("device-side assert",)
"""Raised on a device, but by the program: an index out of range, say."""

DEVICE_WORDS = (
    "CUDA error",
    "cuDNN",
    "CUDNN_",
    "CUBLAS_",
    "NCCL",
    "HIP error",
    "CUDA driver",
    "CUDA-capable",
)

PEER_WORDS = (
    "gloo",
    "Connection closed by peer",
    "Connection reset",
    "ProcessGroup",
    "Socket Timeout",
    "NCCL",
)
"""Words in messages of a collective operation whose other end has gone: the fault is another process's."""

SETTINGS = "learner_ray.losses"
"""The package in which a user's error is about the run's own settings, not about what it was given to
read."""


class Kind(Enum):
    """The cause of a fault."""

    RUN = "run"
    """The run's own code raised an exception."""
    DEATH = "death"
    """The run's process died or hung for a reason that is not known."""
    MEMORY = "memory"
    DEVICE = "device"
    NODE = "node"
    """The node was lost, or taken away."""
    PLACE = "place"
    """Something that all runs need is missing or changed: data, the study file, an installed package."""
    STORAGE = "storage"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that ended a run before its time."""

    kind: Kind
    reason: str
    """One line."""
    type: str = ""
    """The exception's type, where there was one."""
    raised_at: str = ""
    """The file and line that raised it."""
    trace: str = ""
    process: str = ""
    """The process in which it happened; two processes never have the same name."""
    device: str = ""
    """The device on which it happened, as people call it."""
    host: str = ""
    hung: bool = False
    """Whether the process was silent for too long and was ended for that."""

    def is_like(self, other: Fault) -> bool:
        """Whether both are the same exception: of one type, with one message or from one place."""
        alike = self.reason == other.reason or self.raised_at == other.raised_at
        return self.type == other.type and alike


class FaultError(Exception):
    """Takes a fault from a process to the driver. Tune replaces the process that raises it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        return self.fault.reason


def fault_of(
    error: BaseException, root: Path, *, process: str = "", device: str = "", host: str = ""
) -> Fault:
    """The fault that an exception tells of, which a run's process has caught.

    Args:
        error: the exception.
        root: the folder in which the results lie.
        process: in which it was raised.
        device: on which that process runs.
        host: where that is.
    """
    kind, reason = _judged(error, root)
    frames = traceback.extract_tb(error.__traceback__)
    return Fault(
        kind=kind,
        reason=reason or _first_line(error),
        type=type(error).__name__,
        raised_at=f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "",
        trace="".join(traceback.format_exception(error)),
        process=process,
        device=device,
        host=host,
    )


def _judged(error: BaseException, root: Path) -> tuple[Kind, str]:
    """The kind, and a sentence where the exception's own message is not one."""
    for cause in causes(error):
        if isinstance(cause, DEATHS):  # of another process that this one has called
            death = death_of(cause)
            return death.kind, death.reason
        if isinstance(cause, StorageError):
            return Kind.STORAGE, str(cause)
        if isinstance(cause, MemoryError) or _says(cause, "OutOfMemoryError", MEMORY_WORDS):
            return Kind.MEMORY, ""
    for cause in causes(error):
        if isinstance(cause, PlaceError) or (isinstance(cause, UserError) and not _of_settings(cause)):
            return Kind.PLACE, str(cause)
    if gone := storage_fault(error, root):
        return Kind.PLACE if _of_another_place(error, root) else Kind.STORAGE, gone
    for cause in causes(error):
        if isinstance(cause, OSError | ImportError):
            return (Kind.MEMORY, "") if getattr(cause, "errno", 0) == errno.ENOMEM else (Kind.PLACE, "")
        if _is_of_device(cause):
            return Kind.DEVICE, ""
    return Kind.RUN, ""


def _of_another_place(error: BaseException, root: Path) -> bool:
    """Whether it names a file that is none of the results: a scan, say, or one of the cache."""
    named = error.filename if isinstance(error, OSError) else None
    return isinstance(named, str) and not Path(named).absolute().is_relative_to(root.absolute())


def _says(error: BaseException, name: str, words: tuple[str, ...]) -> bool:
    """Whether an exception has a name or one of some words. PyTorch may not be loaded, and its exceptions
    derive from RuntimeError."""
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(c.__name__ == name for c in type(error).__mro__) or any(w.lower() in text for w in words)


def _is_of_device(error: BaseException) -> bool:
    if _says(error, "", OWN_DEVICE_WORDS):
        return False
    return _says(error, "AcceleratorError", DEVICE_WORDS) or _says(error, "DistBackendError", DEVICE_WORDS)


def ruins_its_process(error: BaseException) -> bool:
    """Whether every later call of the GPU from this process will fail, for all runs in it."""
    kind, _ = _judged(error, Path.cwd())
    return kind is Kind.DEVICE or any(_says(cause, "", OWN_DEVICE_WORDS) for cause in causes(error))


def _of_settings(error: BaseException) -> bool:
    raiser = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1:]
    return any(str(frame.f_globals.get("__name__", "")).startswith(SETTINGS) for frame in raiser)


def is_of_a_peer(error: BaseException) -> bool:
    """Whether a rank only heard that another one has gone."""
    return _says(error, "DistBackendError", PEER_WORDS) or isinstance(error, ConnectionError)


def death_of(error: BaseException | None, *, hung: str = "") -> Fault:
    """The fault of a process that is no more, as far as the driver knows it.

    Args:
        error: the exception that Ray raised for it, if it is known.
        hung: the reason why the engine ended the process, if it did.
    """
    if hung:
        return Fault(kind=Kind.DEATH, reason=hung, hung=True)
    if isinstance(error, NodeDiedError | LocalRayletDiedError) or _lost_its_node(error):
        taken = isinstance(error, RayActorError) and error.preempted
        return Fault(kind=Kind.NODE, reason=f"its node {'was taken away' if taken else 'was lost'}")
    if isinstance(error, OutOfMemoryError) or "running low on memory" in str(error):
        return Fault(kind=Kind.MEMORY, reason="its process died (out of memory)")
    return Fault(kind=Kind.DEATH, reason=DIED)


def _lost_its_node(error: BaseException | None) -> bool:
    if not isinstance(error, RayActorError):
        return False
    # A node's own daemon tells within a second of a process that died; where nobody tells, it is gone too.
    unheard = isinstance(error, ActorUnavailableError)
    said = ("node has died", "node was terminated", "node is dead")
    return error.preempted or unheard or any(words in str(error) for words in said)


def last_line(error: BaseException) -> str:
    """The last line of an exception's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _first_line(error: BaseException) -> str:
    return (f"{type(error).__name__}: {error}".splitlines() or [""])[0].removesuffix(": ")
