"""The flow of scans begins at what an import found, not at the manifest that it wrote."""

import pytest

from learner_ray.cohort import load
from learner_ray.cohort.flow import cohort_flow
from learner_ray.cohort.left_out import left_out_path
from tests.cohort.rows import VALID

SCORED = len(VALID)


@pytest.fixture
def listing(write_manifest):
    """A manifest beside which an import left its list."""
    manifest = write_manifest()

    def write(*rows: str, columns="path,patient,visit,reason") -> dict:
        left_out_path(manifest).write_text("\n".join([columns, *rows]) + "\n")
        return cohort_flow(load(manifest, modality="lus"), {})

    return write


def test_scans_that_an_import_left_out_are_listed_and_left_out(listing):
    flow = listing(
        "/archive/x1,P1,1,no score: the nearest is 3 days away",
        "/archive/x2,P9,1,no score: the patient is in no row",
        "/archive/x3,,,a still picture (one frame)",
    )
    assert flow["left_out"] == {"at import: no score": 2, "at import: a still picture": 1}
    assert flow["listed"]["scans"] == SCORED + 3 == flow["with_score"]["scans"] + 3
    assert flow["listed"]["patients"] == flow["with_score"]["patients"] + 1  # P9


def test_rows_of_tables_and_scans_added_by_hand_are_no_scans_left_out(listing):
    flow = listing(
        '"/archive/scores.csv, row 7",P1,1,FiO2 is empty', f"{VALID[0][0]},P1,1,a repeat: b was taken"
    )
    assert flow["listed"]["scans"] == SCORED and flow["left_out"] == {}


def test_a_reason_names_no_file(listing):
    assert [*listing("/archive/x,P1,1,no row in Meyer_1950.csv")["left_out"]] == [
        "at import: no row in a file"
    ]


@pytest.mark.parametrize("columns", ["name,why", '"'])
def test_another_file_in_its_place_counts_nothing(listing, columns):
    assert listing("x,y", columns=columns)["left_out"] == {}
