"""A file is whole or absent, and equal values give equal bytes."""

import errno
import json
import math
import os
import stat
from pathlib import Path

import pytest

from learner_ray.core.errors import UserError
from learner_ray.core.files import Standing, cache_root, storage_fault, write_atomic, write_json


def test_text_and_bytes_are_written_into_a_missing_folder(tmp_path):
    write_atomic(tmp_path / "new" / "a.txt", "µ\n")
    write_atomic(tmp_path / "new" / "b.bin", b"\x00\xff")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "µ\n".encode()
    assert (tmp_path / "new" / "b.bin").read_bytes() == b"\x00\xff"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.txt", "b.bin"]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a", "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as failed:
        write_atomic(tmp_path / "a", "new")
    assert failed.value.filename == str(tmp_path / "a")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_others_may_read_the_file_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_json_is_canonical_and_has_no_nan(tmp_path):
    write_json(tmp_path / "a", {"b": 1, "a": [math.nan, math.inf, 0.1]})
    write_json(tmp_path / "b", {"a": [math.nan, math.inf, 0.1], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text()) == {"a": [None, None, 0.1], "b": 1}


def test_the_cache_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("LEARNER_RAY_CACHE")
    assert cache_root().name == "learner_ray"


def test_without_a_home_the_cache_must_be_named(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LEARNER_RAY_CACHE")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UserError, match="LEARNER_RAY_CACHE"):
        cache_root()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EIO, errno.ENOSPC])
def test_a_fault_of_storage_is_told_of_the_file_it_is_of(code, tmp_path, monkeypatch):
    monkeypatch.setenv("LEARNER_RAY_CACHE", "/elsewhere/cache")
    error = OSError(code, os.strerror(code), "/elsewhere/cache/pixels")
    fault = storage_fault(error, tmp_path)
    assert fault.startswith("/elsewhere/cache/pixels ") and "LEARNER_RAY_CACHE" in fault
    assert str(tmp_path) in storage_fault(OSError(code, os.strerror(code)), tmp_path)
    assert storage_fault(ValueError("a bug"), tmp_path) == ""


def test_a_folder_removed_and_made_again_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "lus"
    folder.mkdir()
    standing = Standing(folder)
    assert not standing.has_gone
    for _ in range(3):  # a file system gives away the number of what was removed
        folder.rmdir()
        assert standing.has_gone
        folder.mkdir()
        assert standing.has_gone
    standing.close()
