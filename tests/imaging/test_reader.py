import numpy as np
import pytest
from PIL import Image

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.reader import read_scan
from tests.imaging.make_scans import head, numbered_frames, write_nifti, write_video


def test_files_of_one_scan_are_stacked_in_order(tmp_path):
    volume = write_nifti(tmp_path / "t1.NII.gz", head())
    clip = write_video(tmp_path / "clip.MP4", numbered_frames(5))
    Image.fromarray(np.full((9, 9), 77, np.uint8)).save(tmp_path / "x.PNG")
    files = [str(volume), str(clip), str(tmp_path / "x.PNG")]

    read = read_scan(files, 40, geometry=Geometry(slices=7))

    assert read.shape == (7 + 5 + 1, 40, 40)
    np.testing.assert_array_equal(read[:7], read_scan(files[:1], 40, geometry=Geometry(slices=7)))
    np.testing.assert_array_equal(read[7:12], read_scan(files[1:2], 40))
    assert (read[12] == 77).all()


def test_unknown_suffix_names_the_known_ones(tmp_path):
    path = tmp_path / "scan.raw"
    path.touch()
    with pytest.raises(
        ScanError, match=r"scan\.raw: is not of a supported kind \(\.mp4 .*, or DICOM without"
    ):
        read_scan([str(path)], 32)
