import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learner_ray.core.errors import UserError
from learner_ray.imaging import ingest
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.imaging.reader import read_scan
from tests.imaging.make_scans import cohort_of, head, numbered_frames, write_nifti, write_picture, write_video

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = """
import sys, time
from pathlib import Path
from learner_ray.imaging.cache import build_cache
from tests.imaging.make_scans import cohort_of

def progress(done, count):
    print(done, flush=True)
    time.sleep(float(sys.argv[2]))

folder = Path(sys.argv[1])
cohort = cohort_of({path.name: [path] for path in sorted(folder.glob("*.mp4"))})
print(build_cache(cohort, 48, root=folder / "cache", progress=progress).length("07.mp4"))
"""


@pytest.fixture
def cohort(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", numbered_frames(12))
    volume = write_nifti(tmp_path / "t1.nii.gz", head())
    return cohort_of({"clip": [clip], "t1": [volume], "both": [volume, clip]})


def test_cache_gives_what_the_reader_gives(tmp_path, cohort):
    cache = build_cache(cohort, 40, geometry=Geometry(slices=6), root=tmp_path / "cache")
    for scan, files in zip(cohort.scans["scan"], cohort.scans["files"], strict=True):
        expected = read_scan(files, 40, geometry=Geometry(slices=6))
        foreground = expected[expected > BACKGROUND]
        np.testing.assert_array_equal(cache.frames(scan), expected)
        assert cache.length(scan) == len(expected)
        assert cache.statistics(scan) == pytest.approx((foreground.mean(), foreground.std()))
    assert "t1" in cache and "t2" not in cache and not cache.bad
    with pytest.raises(ValueError, match="read-only"):
        cache.frames("t1")[0, 0, 0] = 1


def test_second_build_decodes_nothing(tmp_path, cohort):
    seen = []
    first = build_cache(cohort, 40, root=tmp_path / "cache", progress=lambda *done: seen.append(done))
    again = build_cache(cohort, 40, root=tmp_path / "cache", progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for scan in cohort.scans["scan"]:
        np.testing.assert_array_equal(again.frames(scan), first.frames(scan))
    assert again.contents == first.contents


@pytest.fixture
def decoded(monkeypatch):
    """Names of the first files of scans decoded, each as often as it was."""
    names, read_scan = [], ingest.read_scan

    def decoding(files, *sizes):
        names.append(Path(files[0]).name)
        return read_scan(files, *sizes)

    monkeypatch.setattr(ingest, "read_scan", decoding)
    return names


def test_one_more_scan_decodes_one(tmp_path, cohort, decoded):
    before = build_cache(cohort, 40, root=tmp_path / "cache")
    files = dict(zip(cohort.scans["scan"], cohort.scans["files"], strict=True))
    decoded.clear()
    grown = cohort_of({**files, "a new one": [write_picture(tmp_path / "new.png", seed=1)]})
    after = build_cache(grown, 40, root=tmp_path / "cache")
    assert decoded == ["new.png"]
    for scan in files:
        np.testing.assert_array_equal(after.frames(scan), before.frames(scan))


def test_changed_file_size_or_number_of_slices_is_decoded_anew(tmp_path, cohort, decoded):
    build_cache(cohort, 40, root=tmp_path / "cache")
    decoded.clear()
    build_cache(cohort, 44, root=tmp_path / "cache")
    assert len(decoded) == 3
    build_cache(cohort, 40, geometry=Geometry(slices=5), root=tmp_path / "cache")
    assert len(decoded) == 6
    decoded.clear()
    write_nifti(tmp_path / "t1.nii.gz", head()[::-1])
    cache = build_cache(cohort, 40, root=tmp_path / "cache")
    assert decoded == ["t1.nii.gz", "t1.nii.gz"]  # alone, and before the clip
    np.testing.assert_array_equal(cache.frames("t1"), read_scan([tmp_path / "t1.nii.gz"], 40))


def test_all_frames_are_the_scans_in_the_cohorts_order(tmp_path, cohort):
    files = dict(zip(cohort.scans["scan"], cohort.scans["files"], strict=True))
    for scan in ("t1", "clip"):  # into shards of their own, in another order
        build_cache(cohort_of({scan: files[scan]}), 40, root=tmp_path / "cache")
    cache = build_cache(cohort, 40, root=tmp_path / "cache")
    expected = np.concatenate([read_scan(files[scan], 40) for scan in cohort.scans["scan"]])
    np.testing.assert_array_equal(cache.all_frames[:], expected)
    assert cache.all_frames.nbytes == expected.nbytes and cache.all_frames.shape == expected.shape
    for scan in files:
        first = cache.first(scan)
        np.testing.assert_array_equal(expected[first : first + cache.length(scan)], cache.frames(scan))


def test_files_of_one_size_and_time_that_changed_places_have_each_others_pixels(tmp_path):
    first, second = (write_picture(tmp_path / f"{n}.png", seed=n) for n in (1, 2))
    for path in (first, second):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    assert first.stat().st_size == second.stat().st_size
    cohort = cohort_of({"a": [first], "b": [second]})
    before = build_cache(cohort, 40, root=tmp_path / "cache")
    first.rename(tmp_path / "x.png")
    second.rename(first)
    (tmp_path / "x.png").rename(second)
    after = build_cache(cohort, 40, root=tmp_path / "cache")
    np.testing.assert_array_equal(after.frames("a"), before.frames("b"))
    np.testing.assert_array_equal(after.frames("b"), before.frames("a"))


def test_the_same_files_in_another_place_are_not_decoded_again(tmp_path, cohort, decoded):
    build_cache(cohort, 40, root=tmp_path / "cache")
    decoded.clear()
    (tmp_path / "moved").mkdir()
    files = zip(cohort.scans["scan"], cohort.scans["files"], strict=True)
    moved = {s: [shutil.copy(path, tmp_path / "moved") for path in paths] for s, paths in files}
    build_cache(cohort_of(moved), 40, root=tmp_path / "cache")
    assert not decoded


def test_bad_scans_are_listed_in_one_go_and_not_read_again(tmp_path, cohort, decoded):
    (tmp_path / "empty.mp4").touch()
    files = {**dict(zip(cohort.scans["scan"], cohort.scans["files"], strict=True))}
    bad = cohort_of({"e": [tmp_path / "empty.mp4"], **files, "gone": [tmp_path / "gone.nii"]})

    with pytest.raises(UserError) as error:
        build_cache(bad, 40, root=tmp_path / "cache")
    message = str(error.value)
    assert "2 of 5 scans cannot be read" in message and "--skip-bad" in message
    assert f"manifest.csv, row 2: {tmp_path}/empty.mp4 is empty" in message
    assert f"manifest.csv, row 6: {tmp_path}/gone.nii cannot be opened (No such file" in message

    decoded.clear()
    cache = build_cache(bad, 40, root=tmp_path / "cache", skip_bad=True)
    assert not decoded
    assert sorted(cache.bad) == ["e", "gone"] and "e" not in cache
    np.testing.assert_array_equal(cache.frames("t1"), read_scan(files["t1"], 40))


def test_cohort_without_a_readable_scan_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match="no scan is left"):
        build_cache(cohort_of({"e": [tmp_path / "empty.mp4"]}), 40, root=tmp_path / "cache", skip_bad=True)


def test_a_scan_that_could_not_be_opened_is_found_when_it_can(tmp_path, cohort):
    files = dict(zip(cohort.scans["scan"], cohort.scans["files"], strict=True))
    grown = cohort_of({**files, "late": [tmp_path / "late.png"]})
    assert list(build_cache(grown, 40, root=tmp_path / "cache", skip_bad=True).bad) == ["late"]
    write_picture(tmp_path / "late.png", seed=1)
    assert "late" in build_cache(grown, 40, root=tmp_path / "cache")


def test_a_cache_that_cannot_be_written_serves_what_it_holds(tmp_path, cohort, monkeypatch):
    before = build_cache(cohort, 40, root=tmp_path / "cache")

    def refuse(*args, **kwargs):
        raise PermissionError(30, "Read-only file system", str(tmp_path / "cache"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    after = build_cache(cohort, 40, root=tmp_path / "cache")
    np.testing.assert_array_equal(after.frames("t1"), before.frames("t1"))


def _start(folder, pause_s=0, **options):
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", BUILD, str(folder), str(pause_s)]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **options
    )


@pytest.fixture
def clips(tmp_path):
    for i in range(30):
        write_video(tmp_path / f"{i:02}.mp4", np.roll(numbered_frames(60, 192, 128), i, axis=0))
    return tmp_path


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_build_one_cache_between_them(clips):
    outputs = [process.communicate(timeout=60)[0].split() for process in [_start(clips), _start(clips)]]
    assert sorted(map(len, outputs)) == [1, 31], "one counted its scans, the other found them done"
    assert outputs[0][-1] == outputs[1][-1]


@pytest.mark.long
@pytest.mark.slow
def test_build_goes_on_after_a_kill(clips):
    killed = _start(clips, pause_s=0.1)
    while killed.stdout.readline() != "15\n":  # after 1.5 s: at least one commit
        pass
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    again = _start(clips).communicate(timeout=60)[0].split()

    assert again[-2:] == ["30", "60"], "all 30 scans, and 60 frames in one of them"
    assert 5 < int(again[0]) <= 16, "what was committed before the kill is not decoded again"


@pytest.mark.slow
def test_full_disk_is_told_and_leaves_nothing(clips):
    limited = _start(clips, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    _, errors = limited.communicate(timeout=60)
    assert limited.returncode == 1
    assert "StorageError: no room for the pixel cache" in errors
    assert {path.suffix for path in (clips / "cache").rglob("*") if path.is_file()} == {".lock"}
