"""Whatever stops a command, it says so in a sentence, and its exit code says whose fault it is."""

from __future__ import annotations

import errno
import importlib
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from learner_ray.cli.command import answer
from learner_ray.core.errors import Interrupted, PlaceError, StorageError, UserError

MODULES = ("sweep", "train", "predict", "check", "cohort.__main__", "cli.archive", "cli.main")


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("row 3"), 2, "error: row 3"),
        (FileExistsError(errno.EEXIST, "File exists", "/r/lus"), 2, "/r/lus"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/r/long"), 2, "/r/long: File name too long"),
        (PermissionError(errno.EACCES, "Permission denied", "/r/lus"), 1, "/r/lus: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "/r/lus"), 1, "/r/lus: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device", "/r/lus"), 1, "/r/lus: the disk is full"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/r/lus"), 1, "/r/lus: No such file"),
        (StorageError("/r: gone"), 1, "/r: gone. Completed runs are saved: make room"),
        (PlaceError("a node is gone"), 1, "mend this, then rerun the same command to resume:\n  the command"),
        (MemoryError(), 1, "memory"),
        (KeyboardInterrupt(), 130, ""),
        (Interrupted(15), 143, ""),
    ],
    ids=repr,
)
def test_a_mistake_is_2_and_a_fault_of_the_place_1_and_the_very_path_is_named(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(lambda: raising(error), again="the command") == code
    assert words in capsys.readouterr().err


def test_what_is_nobodys_fault_but_ours_keeps_its_traceback() -> None:
    for error in (ValueError("a bug"), ConnectionResetError(errno.ECONNRESET, "reset")):
        with pytest.raises(type(error)):
            answer(lambda error=error: raising(error))  # type: ignore[misc]


@pytest.mark.parametrize("module", MODULES)
def test_every_command_prints_signs_that_the_terminal_lacks(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = importlib.import_module(f"learner_ray.{module}").main
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))  # as LANG=C gives
    with pytest.raises(SystemExit):
        main(["--help"])
    print("0.5 – 0.6 ✓", flush=True)
    assert written.getvalue().endswith(b"0.5 ? 0.6 ?\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("reader", "code", "words"), [("gone", 141, ""), ("full", 1, "no room is left")])
def test_an_output_that_nobody_takes_ends_a_command_without_a_traceback(
    reader: str, code: int, words: str, unbuffered: str, manifest: Path
) -> None:
    end, out = os.pipe()
    os.close(end)
    if reader == "full":
        os.close(out)
        out = os.open("/dev/full", os.O_WRONLY)
    command = [sys.executable, "-m", "learner_ray.cohort", "check", str(manifest), "--modality", "lus"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        command, stdout=out, stderr=subprocess.PIPE, env=environment, text=True, check=False
    )
    os.close(out)
    assert done.returncode == code and words in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_the_library_s_messages_are_plain_lines_only_while_a_command_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("learner_ray.somewhere")

    def carry_out() -> int:
        logger.info("read %d scans", 3)
        logger.warning("warning: dark")
        return 0

    assert answer(carry_out) == 0
    assert capsys.readouterr().out == "read 3 scans\nwarning: dark\n"
    assert answer(carry_out, messages="stderr") == 0
    assert capsys.readouterr() == ("", "read 3 scans\nwarning: dark\n")
    logger.info("nobody asked")
    assert capsys.readouterr() == ("", "")
