"""A path that cannot be is refused before the work, by its very part that is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from learner_ray.core.errors import StorageError, UserError
from learner_ray.core.paths import read_json, refuse_unwritable

CHECK = "import sys, pathlib; from learner_ray.core.paths import refuse_unwritable as check; "
CHECK += "check(pathlib.Path(sys.argv[1]))"


@pytest.mark.parametrize("below", ["", "lus", "a/b/lus"])
def test_a_folder_that_is_a_file_or_below_one_is_refused(below: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=rf"{tmp_path}/taken is a file"):
        refuse_unwritable(tmp_path / "taken" / below)


def test_a_name_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for folder in (tmp_path / ("a" * 300), tmp_path / "loop" / "lus"):
        with pytest.raises(UserError, match="name another"):
            refuse_unwritable(folder)


def test_a_folder_that_can_be_made_is_let_pass_and_not_made(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written_to_is_a_fault_of_the_place(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    command = [sys.executable, "-c", CHECK, str(locked / "a" / "lus")]
    if os.geteuid() == 0:  # root obeys no permissions, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root, and no setpriv to give up its rights with")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", "--bounding-set", rights, "--inh-caps", rights, *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"{StorageError.__name__}: {locked}: Permission denied" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{", b"\xff\x00", b"[" * 100_000],
    ids=(lambda content: f"{len(content)} bytes"),
)
def test_damaged_json_is_named_with_the_remedy(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is damaged .*: restore it"):
        read_json(tmp_path / "a.json", "restore it")
