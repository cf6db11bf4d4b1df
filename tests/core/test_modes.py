"""What is written is its owner's alone, or also the group's whose folder it lies in; others never read it."""

import os
import stat

import pytest

from learner_ray.core.files import write_atomic
from learner_ray.core.locks import locked_file
from learner_ray.core.modes import closed_to_others, writing_to_cache


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("root", "file", "folder"),
    [
        (None, 0o600, 0o700),  # it does not exist yet
        (0o755, 0o600, 0o700),  # as most folders are made: that says nothing
        (0o700, 0o600, 0o700),
        (0o1777, 0o600, 0o700),  # everybody's
        (0o750, 0o640, 0o750),
        (0o770, 0o660, 0o770),
        (0o2775, 0o660, 0o770),
        (0o2755, 0o640, 0o750),
    ],
)
def test_files_take_the_rights_of_a_group_from_its_folder_and_others_have_none(root, file, folder, tmp_path):
    results = tmp_path / "results"
    if root is not None:
        results.mkdir()
        results.chmod(root)
    with closed_to_others(results):
        write_atomic(results / "lus" / "ledger.parquet", "x")
        with locked_file(results / "lus" / ".lock"):
            pass
    written = [results / "lus" / name for name in ("ledger.parquet", ".lock")]
    assert {mode(path) for path in written} == {file}
    assert mode(results / "lus") & 0o777 == folder
    write_atomic(tmp_path / "report", "x")
    assert mode(tmp_path / "report") == 0o644, "afterwards files are as open as the user wants them"


def test_the_cache_is_closed_and_so_becomes_one_of_before_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("LEARNER_RAY_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = tmp_path / ".cache" / "learner_ray"
    cache.mkdir(parents=True)
    with writing_to_cache() as root:
        write_atomic(root / "content" / "a", "x")
    assert (mode(cache), mode(cache / "content"), mode(cache / "content" / "a")) == (0o700, 0o700, 0o600)
    named = tmp_path / "lab"
    named.mkdir()
    named.chmod(0o2770)
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(named))
    with writing_to_cache() as root:
        write_atomic(root / "a", "x")
    assert mode(named / "a") == 0o660
