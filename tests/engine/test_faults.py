"""What is a run's own doing, and what is the world's."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
)

from learner_ray.core.components import LOSSES
from learner_ray.core.config import Config
from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.core.sections import PixelSettings
from learner_ray.engine.faults import DIED, Fault, FaultError, Kind, death_of, fault_of, is_of_a_peer
from learner_ray.run.spec import Source
from learner_ray.training.data import open_data


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("shapes differ"), Kind.RUN),
        (AssertionError(), Kind.RUN),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), Kind.RUN),
        (RuntimeError("CUDA error: device-side assert triggered"), Kind.RUN),
        (UserError("the manifest does not exist"), Kind.PLACE),
        (caused(ValueError("no batch"), UserError("the manifest does not exist")), Kind.PLACE),
        (PlaceError("the node lacks it"), Kind.PLACE),
        (FileNotFoundError(errno.ENOENT, "No such file", "scan.mp4"), Kind.PLACE),
        (PermissionError(errno.EACCES, "Permission denied", "scan.mp4"), Kind.PLACE),
        (TimeoutError("the mount does not answer"), Kind.PLACE),
        (ModuleNotFoundError("No module named 'av'"), Kind.PLACE),
        (StorageError("results/: the disk is full"), Kind.STORAGE),
        (OSError(errno.EROFS, "Read-only file system"), Kind.STORAGE),
        (RuntimeError("CUDA error: unspecified launch failure"), Kind.DEVICE),
        (torch.AcceleratorError("CUDA error: misaligned address"), Kind.DEVICE),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), Kind.DEVICE),
        (torch.distributed.DistBackendError("NCCL error: unhandled system error"), Kind.DEVICE),
        (ActorDiedError(), Kind.DEATH),
        (MemoryError(), Kind.MEMORY),
        (np.exceptions.DTypePromotionError("no"), Kind.RUN),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), Kind.MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), Kind.MEMORY),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), Kind.MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Kind.MEMORY),
    ],
)
def test_an_exception_says_whose_fault_it_is(error: Exception, kind: Kind, tmp_path: Path) -> None:
    fault = fault_of(error, tmp_path)
    assert fault.kind is kind
    assert fault.reason and "\n" not in fault.reason


def test_results_that_have_gone_are_storage_whatever_was_raised(tmp_path: Path) -> None:
    assert fault_of(RuntimeError("unexpected pos 64"), tmp_path / "removed").kind is Kind.STORAGE


def test_data_that_cannot_be_opened_are_no_run_s_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_data(Source(path=str(tmp_path / "moved" / "manifest.csv")), PixelSettings(32))
    assert fault_of(caught.value, tmp_path).kind is Kind.PLACE


def test_a_setting_that_a_loss_refuses_is_the_run_s_own(tmp_path: Path) -> None:
    config = Config().with_values({"loss.name": "siamese", "loss.boundary": 0.0, "loss.threshold": 0.0})
    with pytest.raises(UserError) as caught:
        LOSSES.get("siamese")(config.loss, None)
    assert fault_of(caught.value, tmp_path).kind is Kind.RUN


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, Kind.DEATH),
        (ActorDiedError(), Kind.DEATH),
        (RayActorError(error_msg="worker killed", preempted=True), Kind.NODE),
        (RayActorError(error_msg="The actor is dead because its node has died. Node Id: 0"), Kind.NODE),
        (ActorUnavailableError("connection lost", None), Kind.NODE),
        (NodeDiedError("gone"), Kind.NODE),
        (OutOfMemoryError("the node is running low on memory"), Kind.MEMORY),
        (RayActorError(error_msg="killed: the node was running low on memory"), Kind.MEMORY),
    ],
)
def test_a_death_says_whether_the_node_or_memory_was_why(error: Exception | None, kind: Kind) -> None:
    assert death_of(error).kind is kind


def test_a_hung_process_says_so_and_any_other_death_what_it_may_have_been() -> None:
    hung = death_of(ActorDiedError(), hung="hung: no epoch within 9 s")
    assert hung.reason == "hung: no epoch within 9 s" and hung.hung
    assert death_of(ActorDiedError()).reason == DIED


def raised(message: str) -> Fault:
    try:
        raise ValueError(message)
    except ValueError as error:
        return fault_of(error, Path("/"))


def test_the_same_exception_has_one_type_and_one_message_or_place(tmp_path: Path) -> None:
    assert raised("at 0x7f01").is_like(raised("at 0x7f02")), "from one place"
    assert not raised("planted").is_like(fault_of(KeyError("planted"), tmp_path))
    elsewhere = fault_of(ValueError("planted"), tmp_path)
    assert raised("planted").is_like(elsewhere) and not raised("another").is_like(elsewhere)


def test_a_fault_travels_between_processes() -> None:
    fault = raised("planted")
    assert pickle.loads(pickle.dumps(FaultError(fault))).fault == fault
    assert "planted" in fault.trace


@pytest.mark.parametrize(
    ("error", "is_echo"),
    [
        (RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer"), True),
        (torch.distributed.DistBackendError("NCCL communicator was aborted"), True),
        (ConnectionResetError(), True),
        (RuntimeError("shapes differ"), False),
    ],
)
def test_a_rank_that_lost_another_is_told_from_one_with_a_fault_of_its_own(
    error: Exception, is_echo: bool
) -> None:
    assert is_of_a_peer(error) == is_echo
