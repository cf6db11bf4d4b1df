"""Every file of the odd ones beside the project is read, or refused in one line; voxels are nibabel's.

Pixels of the DICOM files among them are compared in ``test_dicom_files``.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

from learner_ray.cohort.scan_files import files_of_scan
from learner_ray.cohort.unrecognised import files_below
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import check_header
from learner_ray.imaging.volume_files import open_volume, read_header
from tests.imaging.make_scans import SHARED_DATA

ARCHIVES = sorted((SHARED_DATA / "odd" / "layouts").glob("*.tar.gz"))
TABLES = {".csv", ".tsv", ".json"}


@pytest.mark.slow
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_volumes_are_those_of_an_independent_decoder_and_tables_are_refused(
    archive: Path, tmp_path: Path
) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    for path in files_below(tmp_path):
        files = files_of_scan(str(path))
        assert isinstance(files, tuple)
        if path.suffix in TABLES:
            with pytest.raises(ScanError, match=r"^[^\n]+ is not of a supported kind [^\n]+$"):
                check_header(files)
            continue
        check_header(files)
        found, expected = open_volume(files), nibabel.load(path)
        np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
        np.testing.assert_array_equal(found.affine, expected.affine)
        np.testing.assert_array_equal(read_header(files).affine, expected.affine)
        assert read_header(files).shape == expected.shape
