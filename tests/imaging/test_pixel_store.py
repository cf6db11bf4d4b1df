"""What a store says of a scan is true, whoever writes to it, is killed or removes a part of it."""

import errno
import os

import numpy as np
import pytest

from learner_ray.core.errors import StorageError
from learner_ray.imaging import shards
from learner_ray.imaging.pixel_store import PixelStore
from learner_ray.imaging.shards import Entry

SIZE = 4


def frames_of(number: int) -> np.ndarray:
    return np.full((number + 1, SIZE, SIZE), number, np.uint8)


def add(writer, *numbers: int) -> None:
    for number in numbers:
        writer.add(Entry(key=str(number), frames=number + 1), frames_of(number))


def held(store: PixelStore, *numbers: int) -> list[int]:
    """Those of some scans that a store holds, with their frames."""
    found = {number: store.find(str(number)) for number in numbers}
    for number, entry in found.items():
        if entry is not None:
            first = entry.offset // SIZE**2
            frames = store.shard(entry.shard)[first : first + entry.frames]
            np.testing.assert_array_equal(frames, frames_of(number))
    return [number for number, entry in found.items() if entry is not None]


@pytest.fixture
def store(tmp_path):
    return PixelStore(tmp_path / "store", SIZE)


def test_two_that_write_at_once_do_not_disturb_each_other(store, tmp_path):
    other = PixelStore(store.folder, SIZE)
    with store.writing() as one, other.writing() as two:
        for number in range(10):
            add(one if number % 2 else two, number)
            one.commit()
        add(two, 3)  # both have it
    assert held(PixelStore(store.folder, SIZE), *range(11)) == [*range(10)]


def test_what_is_committed_is_seen_while_more_is_written(store):
    with store.writing() as writer:
        add(writer, 0, 1)
        other = PixelStore(store.folder, SIZE)
        assert held(other, 0, 1) == []
        writer.commit()
        other.load()
        assert held(other, 0, 1) == [0, 1]
        add(writer, 2)
    assert held(other, 0, 1, 2) == [0, 1]
    other.load()
    assert held(other, 0, 1, 2) == [0, 1, 2]


def test_what_a_kill_or_power_cut_left_half_is_not_held(store):
    with store.writing() as writer:
        add(writer, 0, 1, 2)
    (journal,) = store.folder.glob("*.jsonl")
    whole = journal.read_bytes()
    for cut in range(len(whole)):
        journal.write_bytes(whole[:cut])
        lines = whole[:cut].count(b"\n")
        assert held(PixelStore(store.folder, SIZE), 0, 1, 2) == [*range(lines)]
    journal.write_bytes(whole)
    os.truncate(journal.with_suffix(".u8"), 3 * SIZE**2 + 1)
    assert held(PixelStore(store.folder, SIZE), 0, 1, 2) == [0, 1]


def test_a_shard_that_has_grown_large_is_followed_by_another(store, monkeypatch):
    monkeypatch.setattr(shards, "LARGEST_BYTES", 5 * SIZE**2)
    with store.writing() as writer:
        add(writer, *range(6))
    assert len(list(store.folder.glob("*.u8"))) == 3  # of 1 + 2 + 3, 4 + 5 and 6 frames
    assert held(PixelStore(store.folder, SIZE), *range(6)) == [*range(6)]


def test_a_full_disk_costs_the_last_shard_alone(store, monkeypatch):
    monkeypatch.setattr(shards, "LARGEST_BYTES", 5 * SIZE**2)

    def fill():
        with store.writing() as writer:
            add(writer, *range(4))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="no room for the pixel cache"):
        fill()
    assert held(store, *range(4)) == held(PixelStore(store.folder, SIZE), *range(4)) == [0, 1, 2]
    assert len(list(store.folder.iterdir())) == 2


def test_a_scan_that_cannot_be_read_is_kept_with_its_reason(store):
    with store.writing() as writer:
        writer.add(Entry(key="bad", bad_file=1, reason="is empty"), None)
    entry = PixelStore(store.folder, SIZE).find("bad")
    assert entry is not None and (entry.bad_file, entry.reason) == (1, "is empty")
