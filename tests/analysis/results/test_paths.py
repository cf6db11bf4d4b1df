"""A report names no path of a scan, whichever version wrote the results folder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results.paths import without_paths
from learner_ray.imaging.errors import BadScan

NAMES = st.lists(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,8}[A-Za-z0-9]", fullmatch=True), min_size=2, max_size=4
)
REASONS = st.sampled_from(
    [
        "cannot be read as NIfTI (Expected 3 bytes)",
        "is a DICOM file with another suffix; rename it to .dcm",
        "announces 30 frames but holds 20: truncated?",
        "holds no scan (RT Plan Storage); leave it out",
    ]
)


@given(folders=NAMES, reason=REASONS, suffix=st.sampled_from([".nii.gz", ".dcm", ""]))
def test_no_part_of_a_path_is_left_of_a_scan_that_cannot_be_read(
    folders: list[str], reason: str, suffix: str
) -> None:
    parts = [f"Doe {name}" for name in folders]
    path = f"/data/{'/'.join(parts)}{suffix}"
    bad = BadScan(scan="s", source="/data/Doe/m.csv", row=7, path=path, reason=reason)
    for said in (without_paths(str(bad)), bad.unnamed):
        assert said.startswith("row 7: ") and "Doe" not in said and "/" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "OSError: Input/output error: /data/Doe Jane/p1.png (again)",
            "OSError: Input/output error: a file (again)",
        ),
        ("RuntimeError: C:\\scans\\Doe\\x.dcm is odd", "RuntimeError: a file is odd"),
        ("UserError: data/Doe/x.img was changed", "UserError: a file was changed"),
        ("Doe_1.mp4 was changed", "a file was changed"),
    ],
)
def test_other_sentences_say_a_file(text: str, said: str) -> None:
    assert without_paths(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "3 of 30 rows left out: no score (row 3, 4)",
        "columns not used: S/F, n/a",
        "not used in lus_videos: 2 .txt, 1 .png",
        "sessions are listed in oasis_longitudinal.csv",
        "ValueError: lr 0.1 is not in [0, 1]",
        "row 7: cannot be read as NIfTI",
    ],
)
def test_what_names_no_scan_stays(text: str) -> None:
    assert without_paths(text) == text
