"""A file is read once, and again as soon as it may have changed."""

import hashlib
import os

import pytest

from learner_ray.cohort import content
from learner_ray.cohort.content import content_hashes
from learner_ray.errors import UserError
from learner_ray.files import cache_root

LONG_AGO = 1_600_000_000


@pytest.fixture
def read(monkeypatch):
    """Lists the files that are really read."""
    files = []
    sha256 = content._sha256

    def watched(path):
        files.append(os.path.basename(path))
        return sha256(path)

    monkeypatch.setattr(content, "_sha256", watched)
    return files


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


def test_only_a_changed_or_new_file_is_read_again(paths, read, tmp_path):
    content_hashes(paths)
    content_hashes(paths)
    assert sorted(read) == ["a", "b"]
    os.utime(paths[1], (LONG_AGO, LONG_AGO + 1))
    (tmp_path / "c").write_text("c")
    content_hashes([*paths, str(tmp_path / "c")])
    assert sorted(read) == ["a", "b", "b", "c"]


def test_a_file_written_just_now_is_not_trusted_yet(paths, read):
    os.utime(paths[0])
    content_hashes(paths)
    content_hashes(paths)
    assert sorted(read) == ["a", "a", "b"]


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


def test_a_missing_file_is_the_users_to_restore(tmp_path):
    with pytest.raises(UserError, match="absent: No such file"):
        content_hashes([str(tmp_path / "absent")])
