"""Old pixels go by age and size, those that are in use stay, and locks do."""

import fcntl
import os
import time

import numpy as np
import pytest

from learner_ray.imaging import cache_removal
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.cache_removal import note_if_large, pieces, remove
from tests.imaging.make_scans import cohort_of, write_picture

DAY = 86_400


@pytest.fixture
def root(tmp_path):
    """Pixels of three cohorts of one picture each, last used 30, 20 and 10 days ago."""
    for days in (30, 20, 10):
        before = set(pieces(tmp_path / "pixels"))
        cohort = cohort_of({"a": [write_picture(tmp_path / f"{days}.png", seed=days)]})
        build_cache(cohort, 40, root=tmp_path / "pixels")
        (new,) = set(pieces(tmp_path / "pixels")) - before
        for path in new.paths:
            os.utime(path, (time.time() - days * DAY,) * 2)
    return tmp_path / "pixels"


def held(root):
    """Days since each piece was last used."""
    return sorted(round((time.time() - piece.used) / DAY) for piece in pieces(root))


def opened(root, days):
    return build_cache(cohort_of({"a": [root.parent / f"{days}.png"]}), 40, root=root)


def test_old_ones_go(root):
    done = remove(root, older_than_s=15 * DAY)
    assert held(root) == [10]
    assert done.removed > 2 * 40 * 40 and done.left == sum(piece.bytes for piece in pieces(root))


def test_those_used_least_recently_go_until_it_fits(root):
    total = sum(piece.bytes for piece in pieces(root))
    remove(root, max_bytes=total)
    assert held(root) == [10, 20, 30]
    remove(root, max_bytes=total - 1)
    assert held(root) == [10, 20]
    remove(root, max_bytes=0)
    assert held(root) == []


def test_opening_is_use_and_what_is_open_is_kept(root):
    cache = opened(root, 30)
    frames = cache.frames("a").copy()
    assert held(root) == [0, 10, 20]
    done = remove(root, max_bytes=0)
    assert held(root) == [0] and done.left == done.in_use > 0
    np.testing.assert_array_equal(cache.frames("a"), frames)
    del cache
    remove(root, max_bytes=0)
    assert held(root) == []


def test_what_another_process_removes_at_once_is_gone_and_no_error(root):
    old = root / "0123456789abcdef01234567"
    old.mkdir()
    (old / "index.json").write_text("{}")
    seen = pieces(root)
    shard = next(piece for piece in seen if len(piece.paths) == 2)
    shard.paths[0].unlink()  # the other one has begun
    assert shard.remove() and not shard.paths[1].exists()
    remove(root)
    assert len(seen) == 4 and all(piece.remove() for piece in seen)


def test_what_was_removed_is_decoded_again(root):
    remove(root)
    assert opened(root, 20).length("a") == 1 and held(root) == [0]


def test_what_an_older_version_left_goes_and_locks_stay(root):
    old = root / "0123456789abcdef01234567"
    old.mkdir()
    (old / "index.json").write_text("{}")
    (old / "pixels.u8").write_bytes(b"0" * 5000)
    os.utime(old, (time.time() - 40 * DAY,) * 2)
    assert held(root) == [10, 20, 30, 40]
    remove(root, older_than_s=35 * DAY)
    assert held(root) == [10, 20, 30] and len(list(root.glob("*.lock"))) == 3


def test_without_locks_what_was_used_in_the_last_day_is_kept(root, monkeypatch):
    opened(root, 30)

    def unsupported(*args):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    remove(root)
    assert held(root) == [0]


def test_a_large_cache_is_spoken_of(root, monkeypatch):
    assert note_if_large(root) == note_if_large(root / "absent") == ""
    monkeypatch.setattr(cache_removal, "LARGE_BYTES", 100)
    assert "learner-ray cache clear --max-size" in note_if_large(root)
