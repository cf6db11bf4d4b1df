"""What ends a study from the driver's side, without a traceback."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.engine.interrupt import Interrupt


@pytest.fixture
def interrupt(tmp_path: Path) -> Interrupt:
    (tmp_path / "runs").mkdir()
    (tmp_path / "lus").mkdir()
    return Interrupt(tmp_path / "runs", tmp_path / "lus")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system"), StorageError, "Read-only file system"),
        (StorageError("the server does not answer"), StorageError, "the server does not answer"),
        (UserError("state.json is damaged"), PlaceError, "state.json is damaged"),
    ],
)
def test_a_fault_of_the_place_ends_the_study(
    interrupt: Interrupt, error: Exception, kind: type[PlaceError], said: str
) -> None:
    assert not interrupt.stop_all()
    with interrupt.watching_storage():
        raise error
    assert interrupt.stop_all() and type(interrupt.fault) is kind and said in str(interrupt.fault)


def test_an_error_of_the_program_is_not_hidden(interrupt: Interrupt) -> None:
    with pytest.raises(ZeroDivisionError), interrupt.watching_storage():
        raise ZeroDivisionError
    assert not interrupt.stop_all()


@pytest.mark.parametrize("made_again", [False, True])
def test_a_study_s_folder_that_was_removed_is_noticed_though_somebody_makes_it_again(
    interrupt: Interrupt, made_again: bool, tmp_path: Path
) -> None:
    (tmp_path / "lus").rename(tmp_path / "away")  # else a new folder may get its number
    if made_again:
        (tmp_path / "lus").mkdir()
    with interrupt.watching_storage():
        raise RuntimeError("whatever Tune makes of it")
    assert interrupt.stop_all() and "lus was removed" in str(interrupt.fault)


def test_a_fault_is_told_by_its_first_cause(interrupt: Interrupt, tmp_path: Path) -> None:
    interrupt.stop(PlaceError("the data have gone"))
    shutil.rmtree(tmp_path / "lus")
    assert interrupt.stop_all() and str(interrupt.fault) == "the data have gone"
