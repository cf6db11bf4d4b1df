"""The slices of an MR series are one volume, the one that dcm2niix makes of them."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pydicom = pytest.importorskip("pydicom", reason="needs the extra [dicom]")

from learner_ray.imaging.dicom_slices import read_slices  # noqa: E402
from learner_ray.imaging.errors import ScanError  # noqa: E402
from learner_ray.imaging.headers import check_header, parts_of  # noqa: E402
from learner_ray.imaging.kinds import kind_of_scan  # noqa: E402
from learner_ray.imaging.reader import read_scan  # noqa: E402
from learner_ray.imaging.volume import read_volume  # noqa: E402
from learner_ray.imaging.volume_files import read_header  # noqa: E402
from tests.imaging.make_dicom import AXIAL, CORONAL, SAGITTAL, brain, write_series  # noqa: E402

COS, SIN = np.cos(0.2), np.sin(0.2)
OBLIQUE = [float(COS), float(SIN), 0.0, float(-SIN), float(COS), 0.0]


def tuple_of(paths: list[Path]) -> tuple[str, ...]:
    return tuple(map(str, paths))


@pytest.mark.slow
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, OBLIQUE])
@pytest.mark.parametrize("kind", ["unsigned", "signed", "scaled"])
def test_a_series_is_the_volume_that_dcm2niix_makes(
    tmp_path: Path, orientation: list[float], kind: str
) -> None:
    converter = pytest.importorskip("dcm2niix", reason="needs the extra [dicom]")
    voxels = (brain() - 60).astype(np.int16) if kind == "signed" else brain()
    tags: dict[str, Any] = {"PixelSpacing": ["1.5", "0.8"]}
    tags |= {"RescaleSlope": "2.5", "RescaleIntercept": "-100"} if kind == "scaled" else {}
    paths = write_series(tmp_path / "s", voxels, orientation=orientation, **tags)
    random.Random(0).shuffle(paths)
    (tmp_path / "out").mkdir()
    command = [converter.bin, "-b", "n", "-f", "v", "-o", str(tmp_path / "out"), str(tmp_path / "s")]
    subprocess.run(command, check=True, capture_output=True)
    made = nibabel.as_closest_canonical(nibabel.load(tmp_path / "out" / "v.nii"))
    read = nibabel.as_closest_canonical(read_slices(tuple_of(paths)))
    np.testing.assert_allclose(read.get_fdata(), made.get_fdata(), atol=1e-3)
    np.testing.assert_allclose(read.affine, made.affine, atol=1e-4)
    np.testing.assert_array_equal(
        read_scan(tuple_of(paths), 48), read_volume(str(tmp_path / "out" / "v.nii"), 48)
    )


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(22)))
def test_the_order_of_the_files_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    paths = write_series(tmp_path_factory.mktemp("s"), brain()[:22])
    shuffled = [paths[i] for i in order]
    expected = read_slices(tuple_of(paths)).get_fdata()
    np.testing.assert_array_equal(read_slices(tuple_of(shuffled)).get_fdata(), expected)


def test_slices_are_one_part_of_a_kind_of_their_own(tmp_path: Path) -> None:
    files = tuple_of(write_series(tmp_path, brain()[:4]))
    assert parts_of(files) == [files] and kind_of_scan(files) == "volume"
    assert parts_of(files[:1]) == [files[:1]] and kind_of_scan(files[:1]) == "dicom"


def test_the_headers_of_a_series_are_read_once_until_a_slice_changes(tmp_path: Path) -> None:
    files = tuple_of(write_series(tmp_path / "a", brain()[:4]))
    first = read_header(files)
    assert read_header(files) is first and read_header(files[::-1]) is not first
    for path, other in zip(
        files, write_series(tmp_path / "b", brain()[:4], PixelSpacing=["2", "2"]), strict=True
    ):
        other.replace(path)
    assert read_header(files).affine[0, 0] == 2 * first.affine[0, 0]


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")  # on writing nan
def test_what_is_no_whole_series_is_refused(tmp_path: Path) -> None:
    uid = {"SeriesInstanceUID": "1.2.9"}
    whole = write_series(tmp_path / "a", brain(), **uid)
    others = {
        "is of another series": whole[:4] + write_series(tmp_path / "b", brain()[4:6]),
        "has another matrix": whole + write_series(tmp_path / "c", brain()[:2, :9], skip=0, **uid),
        "lies in another direction": whole
        + write_series(tmp_path / "d", brain()[:1], orientation=OBLIQUE, **uid),
        "hold several volumes": whole + write_series(tmp_path / "e", brain()[:1], **uid),
        "a slice may be missing": whole[:7] + whole[8:],
        "does not say where its slice lies": write_series(tmp_path / "f", brain(), ImagePositionPatient=[]),
        "does not say where": write_series(tmp_path / "i", brain(), ImagePositionPatient=["nan", "0", "0"]),
        "is in colour": write_series(tmp_path / "g", brain(), PhotometricInterpretation="PALETTE COLOR"),
        "holds several slices": write_series(tmp_path / "h", brain(), ImageType=["ORIGINAL", "MOSAIC"]),
    }
    for reason, paths in others.items():
        for read in (check_header, lambda files: read_volume(files, 32)):
            with pytest.raises(ScanError, match=reason):
                read(tuple_of(paths))
