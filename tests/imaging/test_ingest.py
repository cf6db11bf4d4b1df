"""Reading waits for the disk, and what is read is kept however it ends."""

import errno
import os

import numpy as np
import pytest

from learner_ray.core.errors import UserError
from learner_ray.imaging import ingest
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.errors import ScanError
from tests.imaging.make_scans import cohort_of, write_picture

COUNT = 60


@pytest.fixture
def files(tmp_path):
    return {f"{n:02}": [write_picture(tmp_path / f"{n:02}.png", seed=n)] for n in range(COUNT)}


@pytest.fixture
def decoded(monkeypatch):
    """Files of scans decoded, each as often as it was."""
    paths, read_scan = [], ingest.read_scan

    def decoding(files, *sizes):
        paths.extend(files)
        return read_scan(files, *sizes)

    monkeypatch.setattr(ingest, "read_scan", decoding)
    return paths


def test_no_thread_decodes_far_ahead_of_the_disk(files, decoded):
    ahead = []
    build_cache(cohort_of(files), 40, progress=lambda done, _: ahead.append(len(decoded) - done))
    assert max(ahead) <= 2 * min(8, os.cpu_count())


def test_what_was_read_before_a_fault_or_ctrl_c_is_kept(files, decoded):
    for stop in (UserError, KeyboardInterrupt):

        def stopping(done, count, stop=stop):
            if done % 20 == 0:
                raise stop

        with pytest.raises(stop):
            build_cache(cohort_of(files), 40, progress=stopping)
    decoded.clear()
    build_cache(cohort_of(files), 40)
    assert len(decoded) == COUNT - 40


def test_a_commit_comes_every_second_and_less_often_on_a_slow_disk(monkeypatch):
    class Slow:
        def commit(self):
            clock[0] += 3

    clock = [100.0]
    monkeypatch.setattr(ingest.time, "perf_counter", lambda: clock[0])
    assert ingest._commit(Slow(), {}, []) == pytest.approx(103 + 60)
    Slow.commit = lambda self: None
    assert ingest._commit(Slow(), {}, []) == pytest.approx(104)


def test_scans_of_one_content_are_kept_once(tmp_path, files):
    twice = cohort_of({"a": files["00"], "b": files["00"], "c": files["01"]})
    cache = build_cache(twice, 40, root=tmp_path / "cache")
    (pixels,) = (tmp_path / "cache").rglob("*.u8")
    assert pixels.stat().st_size == 2 * 40 * 40
    np.testing.assert_array_equal(cache.frames("a"), cache.frames("b"))
    np.testing.assert_array_equal(cache.all_frames[:], np.concatenate([cache.frames(s) for s in "abc"]))


@pytest.mark.parametrize("cause", [OSError(errno.EIO, "Input/output error"), ImportError("no such plugin")])
def test_a_fault_that_is_not_of_the_file_is_not_kept(files, monkeypatch, cause):
    def failing(paths, *sizes):
        raise ScanError(paths[0], "cannot be read") from cause

    cohort = cohort_of({"a": files["00"]})
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "read_scan", failing)
        with pytest.raises(UserError, match="cannot be read"):
            build_cache(cohort, 40)
    assert "a" in build_cache(cohort, 40)
