"""A file is read once, and again as soon as it may have changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from learner_ray.cohort import content
from learner_ray.cohort.content import content_hashes
from learner_ray.core.errors import UserError
from learner_ray.core.files import cache_root

LONG_AGO = 1_600_000_000


@pytest.fixture
def read(monkeypatch):
    """Lists the files that are really read."""
    files = []
    read_hash = content.read_hash

    def watched(path):
        files.append(os.path.basename(path))
        return read_hash(path)

    monkeypatch.setattr(content, "read_hash", watched)
    return files


@pytest.fixture
def settled(paths, monkeypatch):
    """Files count as settled a moment after they were written: no test waits for three seconds."""
    monkeypatch.setattr(content, "_SETTLED_SECONDS", 0.02)
    time.sleep(0.05)


@pytest.fixture
def paths(tmp_path):
    made = [str(tmp_path / name) for name in ("a", "b")]
    for path in made:
        with open(path, "w") as stream:
            stream.write(path[-1])
        os.utime(path, (LONG_AGO, LONG_AGO))
    return made


def test_the_hash_is_the_files_sha256(paths):
    assert content_hashes(paths) == {p: hashlib.sha256(p[-1].encode()).hexdigest() for p in paths}


@pytest.mark.usefixtures("settled")
def test_only_a_changed_or_new_file_is_read_again(paths, read, tmp_path):
    content_hashes(paths)
    content_hashes(paths)
    assert sorted(read) == ["a", "b"]
    os.utime(paths[1], (LONG_AGO, LONG_AGO + 1))
    (tmp_path / "c").write_text("c")
    content_hashes([*paths, str(tmp_path / "c")])
    assert sorted(read) == ["a", "b", "b", "c"]


def swapped(paths):
    os.rename(paths[0], f"{paths[0]}.old")
    os.rename(paths[1], paths[0])
    os.rename(f"{paths[0]}.old", paths[1])


def rewritten(paths):
    """As ``rsync -t`` leaves them: the same inodes with each other's content, and the old times."""
    first, second = (Path(path).read_bytes() for path in paths)
    for path, content_ in zip(paths, (second, first), strict=True):
        Path(path).write_bytes(content_)
        os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("swap", [swapped, rewritten])
def test_files_of_one_size_and_time_that_changed_places_have_each_others_hash(paths, swap):
    before = content_hashes(paths)
    swap(paths)
    after = content_hashes(paths)
    assert [after[path] for path in paths] == [before[path] for path in reversed(paths)]


def test_a_file_written_just_now_is_not_believed_yet(paths, read):
    """Its times were set to long ago, but nobody sets the time of its last change."""
    content_hashes(paths)
    content_hashes(paths)
    assert sorted(read) == ["a", "a", "b", "b"]


@pytest.mark.usefixtures("settled")
def test_the_memory_of_a_version_that_kept_less_of_a_stamp_is_not_believed(paths, read):
    expected = content_hashes(paths)
    (memory,) = (cache_root() / "content").iterdir()
    old = {path: [os.stat(path).st_size, os.stat(path).st_mtime_ns, "0" * 64] for path in paths}
    memory.write_text(json.dumps(old))
    assert content_hashes(paths) == expected


@pytest.mark.usefixtures("settled")
def test_a_damaged_or_unwritable_memory_only_costs_time(paths, read):
    expected = content_hashes(paths)
    (memory,) = (cache_root() / "content").iterdir()
    memory.write_text('["damaged"')
    assert content_hashes(paths) == expected
    memory.unlink()
    (cache_root() / "content").rmdir()
    (cache_root() / "content").write_text("a file where the folder should be")
    assert content_hashes(paths) == expected
    assert sorted(read) == ["a", "a", "a", "b", "b", "b"]


def test_absolute_and_relative_paths_mix(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert content_hashes(["a", paths[1]]) == {
        p: hashlib.sha256(p[-1].encode()).hexdigest() for p in ("a", paths[1])
    }


def test_a_missing_file_is_the_users_to_restore(tmp_path):
    with pytest.raises(UserError, match="absent: No such file"):
        content_hashes([str(tmp_path / "absent")])
