"""Scans whose headers state another size than any of a cohort are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from learner_ray.imaging.header_sizes import MM, SIZE, HeaderSizes, header_sizes, unlike


def test_sizes_are_read_of_each_kind_and_of_none_that_is_damaged(tmp_path: Path) -> None:
    import nibabel

    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((20, 30, 40), np.uint8), np.diag([2, 2, 3, 1])), tmp_path / "v.nii"
    )
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ("a.png", "v.nii", "bad.png", "absent.mp4")
    picture, volume, *rest = header_sizes([(str(tmp_path / name),) for name in names])
    assert picture == HeaderSizes("picture", pixels=(60, 40))
    assert volume is not None and volume.mm == (2, 2, 3, 40, 60, 120)
    assert rest == [None, None]


def test_a_side_is_unlike_from_a_tenth_beyond_all_known_ones_of_its_kind() -> None:
    known = [HeaderSizes("video", (600.0, 400.0)), HeaderSizes("video", (800.0, 500.0)), None]
    known.append(HeaderSizes("volume", mm=(1.0, 1.0, 1.0, 256.0, 256.0, 170.0)))
    new = [
        HeaderSizes("video", (640.0, 480.0)), HeaderSizes("video", (879.0, 364.0)),
        HeaderSizes("video", (881.0, 480.0)), HeaderSizes("video", (640.0, 300.0)), None,
        HeaderSizes("volume", mm=(1.0, 1.0, 5.0, 256.0, 256.0, 170.0)),
        HeaderSizes("volume", mm=(float("nan"),) * 6), HeaderSizes("dicom", (10.0, 10.0)),
    ]  # fmt: skip
    assert unlike(new, known) == [[], [], [SIZE], [SIZE], [], [MM], [], []]
