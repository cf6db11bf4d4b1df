"""A decoder that dies or stands still costs one scan, and gives what a reader gives in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from learner_ray.core.child import child_environment
from learner_ray.core.errors import UserError
from learner_ray.imaging import decoder_pool, decoders, ingest, reader
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.region_of_interest import RegionOfInterest
from tests.imaging.make_scans import (
    cohort_of,
    numbered_frames,
    person,
    write_nifti,
    write_picture,
    write_video,
)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", numbered_frames(60))


@contextmanager
def signalled(number: int) -> Iterator[None]:
    """Sends a signal to the first decoder that is at work meanwhile."""

    def strike() -> None:
        until = time.monotonic() + 30
        while not (at_work := [each for each in decoder_pool._busy if each.at_work]):
            assert time.monotonic() < until
            time.sleep(0.0005)
        os.kill(at_work[0].process, number)

    striking = threading.Thread(target=strike)
    striking.start()
    yield
    striking.join()


def test_frames_are_those_of_a_reader_in_this_process(tmp_path: Path, clip: Path) -> None:
    files = [clip, write_nifti(tmp_path / "v.nii.gz", person()), write_picture(tmp_path / "p.png", seed=1)]
    for file in files:
        for geometry in (Geometry(), Geometry(levels="extent")):
            for region in (RegionOfInterest(), RegionOfInterest(crop="4,4,40,36")):
                expected = reader.read_scan([str(file)], 56, geometry, region)
                np.testing.assert_array_equal(decoders.read_scan([str(file)], 56, geometry, region), expected)


def test_a_relative_path_is_of_the_folder_that_the_process_is_in(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.check_scan([clip])  # a decoder is up, wherever it began
    monkeypatch.chdir(tmp_path)
    decoders.check_scan([clip.name])
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(ScanError, match="No such file"):
        decoders.check_scan([clip.name])
    (tmp_path / "other").rmdir()
    decoders.check_scan([clip])  # an absolute path is found from a folder that has been removed


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT], ids=lambda n: n.name)
def test_a_decoder_that_dies_costs_its_scan_alone(tmp_path: Path, number: signal.Signals) -> None:
    clips = {f"{n}.mp4": [write_video(tmp_path / f"{n}.mp4", numbered_frames(20 + n))] for n in range(4)}
    cohort = cohort_of(clips)
    with signalled(number):
        cache = build_cache(cohort, 40, skip_bad=True)
    (bad,) = cache.bad.values()
    assert bad.path.startswith(str(tmp_path)) and len(str(bad).splitlines()) == 1
    assert ("was killed" if number == signal.SIGKILL else number.name) in bad.reason
    assert not build_cache(cohort, 40).bad  # its fault was not kept


def test_a_decoder_that_dies_between_two_scans_costs_none(clip: Path) -> None:
    """As where memory runs out, or a decoder had answered when its reading was abandoned."""
    with decoder_pool.running():
        for _ in range(3):
            decoders.read_scan([str(clip)], 40)
            for idle in decoder_pool._idle:
                idle.kill()
            assert len(decoders.read_scan([str(clip)], 40)) == 60


def test_a_decoder_that_stands_still_is_ended(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoders.check_scan([str(clip)])
    monkeypatch.setattr(decoder_pool, "TIME_LIMIT_S", 1.0)
    with (
        signalled(signal.SIGSTOP),
        pytest.raises(ScanError, match=r"was not decoded .*it is damaged, or far"),
    ):
        decoders.read_scan([str(clip)], 40)
    assert len(decoders.read_scan([str(clip)], 40)) == 60


def test_what_a_reader_raises_beside_its_own_errors_is_a_fault_of_the_scan(clip: Path) -> None:
    with pytest.raises(ScanError, match=r"clip.mp4: cannot be decoded \(ValueError: "):
        decoders.read_scan([str(clip)], 40, region=RegionOfInterest(crop="no numbers"))


def test_ctrl_c_does_not_wait_for_a_scan(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that stands still stands for one that takes minutes."""
    decoders.read_scan([str(clip)], 40)
    others = {f"{n}": [write_picture(clip.parent / f"{n}.png", seed=n)] for n in range(2)}
    begun = time.monotonic()

    def stopping(done: int, count: int) -> None:
        raise KeyboardInterrupt

    read_scan, others_read = ingest.read_scan, threading.Semaphore(0)

    def standing(files: tuple[str, ...], *how: object) -> np.ndarray:
        if files[0] == str(clip):
            for _ in others:  # the signal is for none of theirs
                others_read.acquire()
            with signalled(signal.SIGSTOP):
                return read_scan(files, *how)
        try:
            return read_scan(files, *how)
        finally:
            others_read.release()

    monkeypatch.setattr(ingest, "read_scan", standing)
    with pytest.raises(KeyboardInterrupt):
        build_cache(cohort_of({**others, "clip": [clip]}), 40, progress=stopping)
    assert time.monotonic() - begun < 20


ORPHANS = """
import os, signal, sys, time
from learner_ray.imaging import decoder_pool, decoders
with decoder_pool.running():
    decoders.check_scan([sys.argv[1]])
    print(decoder_pool._sources[0]._process.pid, decoder_pool._idle[0].process, flush=True)
    os.kill(decoder_pool._idle[0].process, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_decoder_outlives_a_process_that_was_killed(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png", seed=1)
    command = [sys.executable, "-c", ORPHANS, str(picture)]
    said = subprocess.run(command, env=child_environment(), stdout=subprocess.PIPE, text=True).stdout
    until = time.monotonic() + 20
    for process in said.split():
        while _lives(int(process)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _lives(int(process))


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_place_where_no_decoder_can_be_is_no_fault_of_the_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from learner_ray.core.errors import PlaceError

    picture = write_picture(tmp_path / "a.png", seed=1)
    for name, value in {"_sources": [], "_idle": [], "_MODULE": "learner_ray.no_such_module"}.items():
        monkeypatch.setattr(decoder_pool, name, value)
    with pytest.raises(PlaceError, match="No module named") as refused:
        build_cache(cohort_of({"a": [picture]}), 40, skip_bad=True)
    assert not isinstance(refused.value, UserError)
    decoder_pool._end()
