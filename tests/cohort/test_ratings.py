"""Ratings of single scans are kept beside the visit's score, and change nothing that a run sees."""

import pytest

from learner_ray.cohort import load
from learner_ray.cohort.ratings import rating_table
from learner_ray.core.errors import UserError
from tests.cohort.rows import COLUMNS

RATED = [
    ("a1.mp4", "P1", "1", "300", "290"),
    ("a1b.mp4", "P1", "1", "300", "310"),
    ("a2.mp4", "P1", "2", "325", ""),
    ("b1.mp4", "P2", "1", "300", "300"),
]


def test_a_manifest_may_rate_every_scan_of_a_visit(write_manifest):
    cohort = load(write_manifest(RATED, (*COLUMNS, "rating")), modality="lus")
    assert cohort.ratings == {"a1.mp4": 290, "a1b.mp4": 310, "b1.mp4": 300}
    assert not any("rating" in note for note in cohort.notes)


def test_ratings_change_neither_the_cohort_s_hash_nor_its_pairs(write_manifest):
    rated = load(write_manifest(RATED, (*COLUMNS, "rating")), modality="lus")
    plain = load(write_manifest([row[:4] for row in RATED]), modality="lus")
    assert rated.hash == plain.hash and rated.pairs().equals(plain.pairs())


def test_the_table_of_ratings_names_no_patient(write_manifest):
    cohort = load(write_manifest(RATED, (*COLUMNS, "rating")), modality="lus")
    table = rating_table(cohort)
    assert table["rating"].tolist() == [290, 310, 300] and table["visit"].tolist() == ["1", "1", "1"]
    assert set(table["patient"]) == {cohort.pseudonym("P1"), cohort.pseudonym("P2")}


@pytest.mark.parametrize("rating", ["good", "30", "1e9", "nan%"])
def test_a_rating_that_cannot_be_is_refused_with_its_row(write_manifest, rating):
    rows = [*RATED[:2], ("a2.mp4", "P1", "2", "325", rating), RATED[3]]
    with pytest.raises(UserError, match=r"row 4: rating .* is no number from 40 to 477"):
        load(write_manifest(rows, (*COLUMNS, "rating")), modality="lus")
