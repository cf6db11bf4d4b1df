"""A file that announces, or unpacks to, more than any memory holds costs one line and little memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="needs the extra [dicom]")

from learner_ray.core.errors import UserError
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging import decoder_pool, gate
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.decoders import read_scan
from learner_ray.imaging.errors import ScanError
from tests.imaging.make_bombs import BOMBS, nifti_of_zeros
from tests.imaging.make_scans import cohort_of, head, write_nifti, write_picture

MOST_MB = 1000


def highest_memory_mb() -> float:
    """The most memory that any decoder has had."""
    peaks = [Path(f"/proc/{each.process}/status").read_text() for each in decoder_pool._idle]
    return max(int(re.search(r"VmHWM:\s+(\d+)", peak)[1]) for peak in peaks) / 1000


@pytest.mark.slow
def test_every_bomb_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
    files: dict[str, list[Path]] = {"good": [write_picture(tmp_path / "good.png", seed=1)]}
    for name, (write, _) in BOMBS.items():
        write(tmp_path / name)
        files[name] = [tmp_path / name]
    cohort = cohort_of(files)
    decoded = gate.decode(cohort, PixelSettings(40), skip_bad=True)
    assert "good" in decoded.cache and decoded.cache.bad.keys() == BOMBS.keys()
    for name, (_, said) in BOMBS.items():
        assert re.search(said, decoded.cache.bad[name].reason), decoded.cache.bad[name]
    with pytest.raises(UserError) as refused:
        gate.decode(cohort, PixelSettings(40))
    lines = str(refused.value).splitlines()
    assert [sum(str(tmp_path / name) + " " in line for line in lines) for name in BOMBS] == [1] * len(BOMBS)
    assert highest_memory_mb() < MOST_MB


def test_headers_alone_tell_what_is_too_large(tmp_path: Path) -> None:
    nifti_of_zeros(tmp_path / "zeros.nii.gz")
    cohort = cohort_of({"a": [tmp_path / "zeros.nii.gz"], "b": [write_picture(tmp_path / "b.png", seed=1)]})
    (bad,) = gate.bad_headers(cohort)
    assert "1,200 x 1,200 x 1,200 values, 6.9 GB" in bad.reason and "--max-scan-gb" in bad.reason


def test_a_scan_that_was_too_large_is_read_under_a_higher_limit(tmp_path: Path) -> None:
    cohort = cohort_of({"a": [write_nifti(tmp_path / "a.nii.gz", head())]})
    with pytest.raises(UserError, match=r"more than the 0\.0001 GB"):
        build_cache(cohort, 40, most_gb=1e-4)
    assert "a" in build_cache(cohort, 40)


def test_a_container_within_a_file_of_another_suffix_is_opened_only_where_it_is_a_video(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.mp4").write_text("\n\n\nffconcat version 1.0\nfile b.mp4\n")
    with pytest.raises(ScanError, match="is a list that names other files"):
        read_scan([str(tmp_path / "a.mp4")], 40)
