import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learner_ray.core.errors import UserError
from learner_ray.imaging.cache import PixelCache, build_cache
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
print(build_cache(cohort, 48, root=folder / "cache", progress=progress).folder)
"""


@pytest.fixture
def cohort(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", numbered_frames(12))
    volume = write_nifti(tmp_path / "t1.nii.gz", head())
    return cohort_of({"clip": [clip], "t1": [volume], "both": [volume, clip]})


def test_cache_gives_what_the_reader_gives(tmp_path, cohort):
    cache = build_cache(cohort, 40, slices=6, root=tmp_path / "cache")
    for scan, files in zip(cohort.scans["scan"], cohort.scans["files"], strict=True):
        expected = read_scan(files, 40, slices=6)
        foreground = expected[expected > BACKGROUND]
        np.testing.assert_array_equal(cache.frames(scan), expected)
        assert cache.length(scan) == len(expected)
        assert cache.statistics(scan) == pytest.approx((foreground.mean(), foreground.std()))
    assert "t1" in cache and "t2" not in cache and not cache.bad
    with pytest.raises(ValueError, match="read-only"):
        cache.frames("t1")[0, 0, 0] = 1


def test_pickle_holds_no_pixels(tmp_path, cohort):
    cache = build_cache(cohort, 40, root=tmp_path / "cache")
    assert cache.frames("t1").nbytes > 40_000
    content = pickle.dumps(cache)
    assert len(content) < 1000
    np.testing.assert_array_equal(pickle.loads(content).frames("t1"), cache.frames("t1"))


def test_second_build_opens_the_first(tmp_path, cohort):
    seen = []
    first = build_cache(cohort, 40, root=tmp_path / "cache", progress=lambda *done: seen.append(done))
    again = build_cache(cohort, 40, root=tmp_path / "cache", progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert again.folder == first.folder == PixelCache.open(first.folder).folder


def test_changed_file_or_size_is_another_cache(tmp_path, cohort):
    folders = [build_cache(cohort, size, root=tmp_path / "cache").folder for size in (40, 44)]
    write_nifti(tmp_path / "t1.nii.gz", head()[::-1])
    folders.append(build_cache(cohort, 40, root=tmp_path / "cache").folder)
    assert len(set(folders)) == 3


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


def test_the_same_files_in_another_place_have_the_same_cache(tmp_path, cohort):
    first = build_cache(cohort, 40, root=tmp_path / "cache")
    (tmp_path / "moved").mkdir()
    files = zip(cohort.scans["scan"], cohort.scans["files"], strict=True)
    moved = {s: [shutil.copy(path, tmp_path / "moved") for path in paths] for s, paths in files}
    again = build_cache(cohort_of(moved), 40, root=tmp_path / "cache")
    assert again.folder == first.folder
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_bad_scans_are_listed_in_one_go(tmp_path, cohort):
    (tmp_path / "empty.mp4").touch()
    files = {**dict(zip(cohort.scans["scan"], cohort.scans["files"], strict=True))}
    bad = cohort_of({"e": [tmp_path / "empty.mp4"], **files, "gone": [tmp_path / "gone.nii"]})

    with pytest.raises(UserError) as error:
        build_cache(bad, 40, root=tmp_path / "cache")
    message = str(error.value)
    assert "2 of 5 scans cannot be read" in message and "--skip-bad" in message
    assert f"manifest.csv, row 2: {tmp_path}/empty.mp4 is empty" in message
    assert f"manifest.csv, row 6: {tmp_path}/gone.nii cannot be opened (No such file" in message

    cache = build_cache(bad, 40, root=tmp_path / "cache", skip_bad=True)
    assert sorted(cache.bad) == ["e", "gone"] and "e" not in cache
    np.testing.assert_array_equal(cache.frames("t1"), read_scan(files["t1"], 40))


def test_cohort_without_a_readable_scan_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match="no scan is left"):
        build_cache(cohort_of({"e": [tmp_path / "empty.mp4"]}), 40, root=tmp_path / "cache", skip_bad=True)


def test_open_without_a_cache_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no pixel cache"):
        PixelCache.open(tmp_path)


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


@pytest.mark.slow
def test_build_goes_on_after_a_kill(clips):
    killed = _start(clips, pause_s=60)
    assert killed.stdout.readline() == "1\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [path.suffix for path in (clips / "cache").iterdir() if path.is_dir()] == [".partial"]

    folder = _start(clips).communicate(timeout=60)[0].split()[-1]

    assert len([path for path in (clips / "cache").iterdir() if path.is_dir()]) == 1
    assert PixelCache.open(folder).length("07.mp4") == 60


@pytest.mark.slow
def test_full_disk_is_told_and_leaves_nothing(clips):
    limited = _start(clips, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    _, errors = limited.communicate(timeout=60)
    assert limited.returncode == 1
    assert "StorageError: no room for the pixel cache" in errors
    assert [path.suffix for path in (clips / "cache").iterdir()] == [".lock"]
