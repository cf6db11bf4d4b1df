"""A draft lists a folder's scans, guesses nothing and overwrites nothing."""

import pytest

from learner_ray.cohort.draft import write_draft
from learner_ray.core.errors import UserError

SUFFIXES = (".mp4", ".nii.gz")


def test_a_draft_lists_the_scans_below_a_folder(tmp_path):
    for name in ("b/2.MP4", "b/1.mp4", "a.nii.gz", "notes.txt", ".hidden/3.mp4"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).write_bytes(b"")
    assert write_draft(tmp_path / "scans", tmp_path / "manifest.csv", SUFFIXES) == 3
    assert (tmp_path / "manifest.csv").read_text().splitlines() == [
        "path,patient,visit,score",
        "scans/a.nii.gz,,,",
        "scans/b/1.mp4,,,",
        "scans/b/2.MP4,,,",
    ]
    with pytest.raises(UserError, match=r"manifest\.csv exists: name another file"):
        write_draft(tmp_path / "scans", tmp_path / "manifest.csv", SUFFIXES)
    other = tmp_path / "elsewhere" / "list.csv"
    write_draft(tmp_path / "scans", other, SUFFIXES)
    assert other.read_text().splitlines()[1] == f"{tmp_path}/scans/a.nii.gz,,,"


def test_a_folder_without_a_scan(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "IM0001").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds no scan that can be read.*found: 1 without a suffix"):
        write_draft(tmp_path / "scans", tmp_path / "manifest.csv", SUFFIXES)
    with pytest.raises(UserError, match="is not a folder"):
        write_draft(tmp_path / "absent", tmp_path / "manifest.csv", SUFFIXES)
