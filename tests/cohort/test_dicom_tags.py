"""Files that are not DICOM are passed over without a word."""

import warnings

import pytest

from learner_ray.cohort.dicom_tags import is_dicom

pytest.importorskip("pydicom", reason="needs the extra [dicom]")


def test_a_file_that_only_looks_like_dicom_is_passed_over_in_silence(tmp_path):
    path = tmp_path / "notes.bin"
    path.write_bytes(b"\x08\x00\x16\x00UI\x0a\x00no number " + bytes(200))  # begins with a SOP class
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert not is_dicom(path)
    assert not said
