"""A path in a manifest stands for all files of its scan: a pair, or the MR slices of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner_ray.cohort import load
from learner_ray.cohort.content import content_hashes
from learner_ray.cohort.draft import write_draft
from learner_ray.cohort.duplicates import find_duplicates
from learner_ray.cohort.scan_files import files_of_scan
from learner_ray.core.errors import UserError
from tests.imaging.make_dicom import CLIP, brain, moving_screen, write_dicom, write_series

PAIR = ("v.hdr", "v.img")


def planted(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


def manifest(folder: Path, *rows: str, columns: str = "path,patient,visit,score") -> Path:
    (folder / "m.csv").write_text("\n".join([columns, *rows]) + "\n")
    return folder / "m.csv"


@pytest.mark.parametrize("listed", PAIR)
@pytest.mark.parametrize("capitals", [False, True])
def test_either_file_of_a_pair_stands_for_both(tmp_path: Path, listed: str, capitals: bool) -> None:
    names = [name.upper() if capitals else name for name in PAIR]
    paths = planted(tmp_path, *names)
    chosen = tmp_path / (listed.upper() if capitals else listed)
    assert files_of_scan(str(chosen)) == tuple(map(str, paths))


def test_half_a_pair_is_refused_with_the_file_that_lacks(tmp_path: Path) -> None:
    planted(tmp_path, "a/v.img", "b/v.hdr", "b/v.img")
    with pytest.raises(UserError, match=r"row 2: a/v.img needs v.hdr beside it"):
        load(manifest(tmp_path, "a/v.img,P1,1,300", "b/v.img,P2,1,300"), modality="lus")


def test_a_pair_that_is_listed_in_two_rows_or_in_both_files_is_one_scan(tmp_path: Path) -> None:
    planted(tmp_path, "a/v.img", "a/v.hdr", "b/v.hdr", "b/v.img")
    with pytest.raises(UserError, match=r"row 3: v.hdr is the file of row 2"):
        load(manifest(tmp_path, "a/v.img,P1,1,300", "a/v.hdr,P1,2,300", "b/v.img,P2,1,9"), modality="lus")
    rows = ("a,a/v.img;a/v.hdr,P1,1,300", "b,b/v.*,P2,1,300")
    cohort = load(manifest(tmp_path, *rows, columns="path,files,patient,visit,score"), modality="lus")
    expected = [tuple(str(tmp_path / of / name) for name in PAIR) for of in "ab"]
    assert sorted(cohort.scans["files"]) == expected


def test_equal_headers_of_two_images_are_no_duplicates(tmp_path: Path) -> None:
    planted(tmp_path, "a/v.img", "a/v.hdr", "b/v.hdr", "b/v.img")
    (tmp_path / "b" / "v.hdr").write_bytes((tmp_path / "a" / "v.hdr").read_bytes())
    cohort = load(manifest(tmp_path, "a/v.img,P1,1,300", "b/v.img,P2,1,300"), modality="lus")
    assert not find_duplicates(cohort, cohort.held)


def test_a_draft_lists_a_pair_once(tmp_path: Path) -> None:
    planted(tmp_path, "scans/v.hdr", "scans/v.img", "scans/lone.hdr")
    assert write_draft(tmp_path / "scans", tmp_path / "m.csv", (".hdr", ".img")) == 2
    assert [row.split(",")[0] for row in (tmp_path / "m.csv").read_text().split()[1:]] == [
        "scans/lone.hdr",
        "scans/v.img",
    ]


def test_a_folder_of_mr_slices_is_one_scan_and_one_of_clips_is_none(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "mr", brain()[:3])
    assert files_of_scan(str(tmp_path / "mr")) == tuple(map(str, sorted(slices)))
    (tmp_path / "us").mkdir()
    write_dicom(tmp_path / "us" / "I1", moving_screen(), sop_class=CLIP)
    (tmp_path / "mr" / "notes.txt").write_text("x")
    for name in ("us", "mr"):
        assert files_of_scan(str(tmp_path / name)).startswith("is a folder, but not of MR slices alone")  # type: ignore[union-attr]


def test_a_header_that_names_its_voxels_counts_with_them(tmp_path: Path) -> None:
    """Headers may be alike; voxels may not, and are part of the cohort's hash."""
    for name, voxels in (("a", b"1234"), ("b", b"5678")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "v.mhd").write_text("ElementDataFile = v.raw\n")
        (tmp_path / name / "v.raw").write_bytes(voxels)
    cohort = load(manifest(tmp_path, "a/v.mhd,P1,1,300", "b/v.mhd,P2,1,300"), modality="lus")
    assert [path.rpartition("/")[2] for path in cohort.paths] == ["v.mhd", "v.raw"] * 2
    assert find_duplicates(cohort, content_hashes(cohort.paths)) == []
    (tmp_path / "b" / "v.raw").write_bytes(b"1234")
    assert len(find_duplicates(cohort, content_hashes(cohort.paths))) == 1
