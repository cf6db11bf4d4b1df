"""Reading waits for the disk, and what is read is kept however it ends."""

import errno
import os
import sys
from importlib import metadata

import numpy as np
import pytest

from learner_ray.core.errors import UserError
from learner_ray.imaging import ingest, reader
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.ingest import scan_key
from tests.imaging.make_scans import cohort_of, head, write_nifti, write_picture

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


PASSING = [
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.EMFILE, "Too many open files"),
    ImportError("no such plugin"),
    MemoryError(),
]


@pytest.mark.parametrize("cause", PASSING, ids=repr)
def test_a_fault_that_is_not_of_the_file_is_not_kept(files, monkeypatch, cause):
    def failing(paths, *sizes):
        raise ScanError(paths[0], "cannot be read") from cause

    cohort = cohort_of({"a": files["00"]})
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "read_scan", failing)
        with pytest.raises(UserError, match="cannot be read"):
            build_cache(cohort, 40)
    assert "a" in build_cache(cohort, 40)


@pytest.mark.parametrize("cause", PASSING, ids=repr)
@pytest.mark.parametrize("where", ["filereader.read_partial", "pixels.iter_pixels"])
def test_a_fault_met_within_dicom_that_is_not_of_the_file_is_not_kept(tmp_path, monkeypatch, cause, where):
    pytest.importorskip("pydicom", reason="needs the extra [dicom]")
    from tests.imaging.make_dicom import STILL, write_dicom

    def failing(*args, **kwargs):
        raise cause

    path = write_dicom(tmp_path / "a.dcm", np.full((1, 48, 48), 90, np.uint8), sop_class=STILL)
    cohort = cohort_of({"a": [path]})
    with monkeypatch.context() as patched:
        patched.setattr(f"pydicom.{where}", failing)
        patched.setattr(ingest, "read_scan", reader.read_scan)  # in this process, where pydicom is replaced
        with pytest.raises(UserError, match="cannot be"):
            build_cache(cohort, 40)
    assert "a" in build_cache(cohort, 40)


@pytest.fixture
def installed(monkeypatch):
    """Versions of packages that stand in place of those installed here; None of one that is missing."""
    versions, version = {}, metadata.version

    def stated(package):
        if versions.get(package, "") is None:
            raise metadata.PackageNotFoundError(package)
        return versions.get(package) or version(package)

    monkeypatch.setattr(metadata, "version", stated)
    monkeypatch.setattr(reader, "_reader_version", reader._reader_version.__wrapped__)
    return versions


DECODERS = [
    "pydicom",
    "pyjpegls",
    "python-gdcm",
    *(f"pylibjpeg{of}" for of in ("", "-libjpeg", "-openjpeg", "-rle")),
]


@pytest.mark.parametrize("package", DECODERS)
def test_a_decoder_that_is_installed_reads_anew_what_may_be_dicom_and_nothing_else(installed, package):
    names = [
        ("a.dcm",),
        ("IM000001",),
        ("1.2.840.113",),
        ("a.png", "b.ima"),
        ("a.mp4",),
        ("a.nii.gz", "b.png"),
    ]

    def keys():
        scans = cohort_of(dict(zip("abcdef", names, strict=True))).scans.itertuples(index=False)
        return [scan_key(scan, ["0"] * len(scan.files)) for scan in scans]

    installed[package] = None
    without = keys()
    installed[package] = "1.0"
    assert [old != new for old, new in zip(without, keys(), strict=True)] == [True] * 4 + [False] * 2


def test_dicom_that_was_met_without_pydicom_is_read_once_it_is_there(
    tmp_path, decoded, installed, monkeypatch
):
    pytest.importorskip("pydicom", reason="needs the extra [dicom]")
    from tests.imaging.make_dicom import STILL, write_dicom

    pixels = np.random.default_rng(0).integers(0, 255, (1, 48, 48), dtype=np.uint8)
    names = ["IM000001", "a.dcm"]
    paths = {name: write_dicom(tmp_path / name, pixels, sop_class=STILL) for name in names}
    cohort = cohort_of(
        {name: [path] for name, path in paths.items()} | {"p": [write_picture(tmp_path / "p.png", seed=1)]}
    )
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pydicom.filereader", None)
        without.setattr(ingest, "read_scan", reader.read_scan)  # in this process, where pydicom is missing
        installed["pydicom"] = None
        for _ in range(2):
            assert [*build_cache(cohort, 40, skip_bad=True).bad] == names
    installed.clear()
    decoded.clear()
    assert not build_cache(cohort, 40).bad
    assert sorted(decoded) == [str(path) for path in paths.values()]


def test_the_key_of_a_scan_is_found_without_its_files(tmp_path):
    pytest.importorskip("pydicom", reason="needs the extra [dicom]")
    from tests.imaging.make_dicom import STILL, write_dicom

    path = write_dicom(tmp_path / "IM000001", np.zeros((1, 8, 8), np.uint8), sop_class=STILL)
    (scan,) = cohort_of({"a": [path]}).scans.itertuples(index=False)
    there = scan_key(scan, ["0"])
    path.unlink()
    assert scan_key(scan, ["0"]) == there


def test_a_file_that_is_renamed_to_what_it_is_can_be_read(tmp_path):
    good = write_picture(tmp_path / "a.png", seed=1)
    volume = write_nifti(tmp_path / "b.nii.gz", head())
    for files in ([volume], [good, volume], [volume, volume]):
        expected = build_cache(cohort_of({"v": files}), 40, root=tmp_path / "of-good-names").frames("v")
        misnamed = volume.rename(tmp_path / "b.gz")
        wrong = cohort_of({"good": [good], "v": [misnamed if path == volume else path for path in files]})
        assert [*build_cache(wrong, 40, skip_bad=True).bad] == ["v"]
        misnamed.rename(volume)
        right = cohort_of({"good": [good], "v": files})
        np.testing.assert_array_equal(build_cache(right, 40).frames("v"), expected)
