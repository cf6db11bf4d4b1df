"""A scan's file is read once in a sweep, and by no worker that finds it as the sweep left it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learner_ray.cohort import content, load
from learner_ray.cohort.listing import content_list
from learner_ray.core.errors import UserError
from learner_ray.core.files import cache_root, write_json
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging import gate, ingest
from learner_ray.run.spec import Source
from learner_ray.training.data import Data, open_data
from tests.imaging.make_scans import write_listed, write_picture


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest of 32 pictures, in an empty world."""
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path / "driver"))
    return write_listed(tmp_path / "scans")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files hashed, and of scans decoded, each as often as it was."""
    done: list[str] = []
    read_hash, read_scan = content.read_hash, ingest.read_scan

    def hashing(path: str) -> content.Known:
        done.append(f"hashed {os.path.basename(path)}")
        return read_hash(path)

    def decoding(files: tuple[str, ...], *sizes: int) -> np.ndarray:
        done.append(f"decoded {os.path.basename(files[0])}")
        return read_scan(files, *sizes)

    monkeypatch.setattr(content, "read_hash", hashing)
    monkeypatch.setattr(ingest, "read_hash", hashing)
    monkeypatch.setattr(ingest, "read_scan", decoding)
    return done


def swept(manifest: Path) -> Source:
    """What a sweep leaves to its workers."""
    decoded = gate.decode(load(manifest, modality="lus"), PixelSettings(32))
    found = decoded.cohort
    write_json(manifest.parent / "content.json", content_list(found, decoded.stamps, decoded.cache.looks))
    return Source(path=str(manifest), cohort_hash=found.hash, contents=str(manifest.parent / "content.json"))


def opened(source: Source) -> Data:
    """As by a process that has just begun, on a machine that remembers no hash."""
    open_data.cache_clear()
    shutil.rmtree(cache_root() / "content", ignore_errors=True)
    return open_data(source, PixelSettings(32))


def test_a_sweep_hashes_each_file_and_decodes_each_scan_once(listed: Path, read: list[str]) -> None:
    swept(listed)
    names = [f"p{patient}-{visit}.png" for patient in range(8) for visit in range(1, 5)]
    assert sorted(read) == sorted(f"{did} {name}" for name in names for did in ("hashed", "decoded"))


def test_a_worker_reads_nothing_where_sizes_and_times_are_those_of_the_list(
    listed: Path, read: list[str]
) -> None:
    source = swept(listed)
    pixels = opened(source).cache.frames("p3-2.png").copy()
    read.clear()
    np.testing.assert_array_equal(opened(source).cache.frames("p3-2.png"), pixels)
    assert read == []


def test_a_file_of_another_time_is_hashed_and_no_other(listed: Path, read: list[str]) -> None:
    source = swept(listed)
    read.clear()
    os.utime(listed.parent / "p3-2.png")
    opened(source)
    assert read == ["hashed p3-2.png"]


@pytest.mark.parametrize("contents", ["", "absent.json", "damaged.json"])
def test_without_a_list_a_worker_reads_for_itself(listed: Path, read: list[str], contents: str) -> None:
    source = swept(listed)
    (listed.parent / "damaged.json").write_text("[1]")
    read.clear()
    opened(replace(source, contents=contents and str(listed.parent / contents)))
    assert len(read) == 32 and all(did.startswith("hashed") for did in read)


def test_changed_content_is_refused_whatever_its_time(
    listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, changed = swept(listed), listed.parent / "p3-2.png"
    before = changed.stat()
    write_picture(changed, seed=999)
    with pytest.raises(UserError, match="has changed since this run was planned"):
        opened(source)
    # With the size and the time of before the list is believed, until the pixels must be decoded.
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path / "another node"))
    with pytest.raises(UserError, match="has changed since this run was planned"):
        opened(source)


def test_a_file_that_changes_while_it_is_read_is_kept_under_no_hash(
    listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_scan = ingest.read_scan

    def changing(files: tuple[str, ...], *sizes: int) -> np.ndarray:
        os.utime(files[0])
        return read_scan(files, *sizes)

    monkeypatch.setattr(ingest, "read_scan", changing)
    with pytest.raises(UserError, match="was changed while it was read"):
        gate.decode(load(listed, modality="lus"), PixelSettings(32))
    assert not list((cache_root() / "pixels").glob("*/*.jsonl"))


def test_the_list_names_sizes_times_and_hashes(listed: Path) -> None:
    source = swept(listed)
    values = json.loads(Path(source.contents).read_text())
    assert values["cohort_hash"] == source.cohort_hash == load(listed, modality="lus").hash
    (file,) = values["scans"]["p3-2.png"]["files"]
    assert file["size"] == (listed.parent / "p3-2.png").stat().st_size and len(file["sha256"]) == 64


def test_what_the_sweep_left_out_stays_out_even_where_it_can_be_read(listed: Path) -> None:
    source = replace(swept(listed), bad_scans=("p3-2.png",))
    data = opened(source)
    assert "p3-2.png" not in data.scans.index and len(data.scans) == 31
    assert data.cohort.hash == source.cohort_hash
