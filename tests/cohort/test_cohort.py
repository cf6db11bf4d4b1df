"""Pairs are consecutive visits of one patient; a cohort is its content, not its listing."""

import os
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort import MMSE, Cohort, load
from learner_ray.cohort.cohort import Scan, scan_table
from learner_ray.cohort.pseudonyms import former_pseudonym, pseudonym, pseudonym_key


def make_cohort(visits, **facts):
    """A cohort of (patient, order, score, number of scans, device)."""
    scans = [
        Scan(
            scan=f"{patient}-{order}-{i}",
            files=("/absent",),
            patient=patient,
            visit=f"v{order}",
            order=order,
            day=10.0 * order,
            score=score,
            device=device,
            source="made up",
            row=1,
        )
        for patient, order, score, count, device in visits
        for i in range(count)
    ]
    return Cohort(name="c", modality="mri", score=MMSE, scans=scan_table(scans), **facts)


cohorts = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.integers(1, 6), st.integers(0, 30), st.integers(1, 2), st.just("")),
    unique_by=lambda visit: visit[:2],
).map(make_cohort)


@given(cohorts)
def test_every_visit_but_a_patients_first_ends_one_pair(cohort):
    pairs, visits = cohort.pairs(), cohort.visits()
    assert len(pairs) == len(visits) - len(cohort.patients)
    assert cohort.class_counts().sum() == len(pairs)
    order = visits.set_index(["patient", "visit"])["order"]
    for pair in pairs.itertuples():
        earlier, later = order[pair.patient, pair.earlier], order[pair.patient, pair.later]
        assert earlier < later
        assert not order[pair.patient].between(earlier, later, inclusive="neither").any()


@given(cohorts)
def test_a_pair_holds_its_visits_scores(cohort):
    pairs = cohort.pairs()
    score = cohort.visits().set_index(["patient", "visit"])["score"]
    for pair in pairs.itertuples():
        assert pair.score_earlier == score[pair.patient, pair.earlier]
        assert pair.score_later == score[pair.patient, pair.later]
        assert pair.change == pair.score_later - pair.score_earlier
        assert pair.y == (2 if pair.change >= 2 else 0 if pair.change <= -2 else 1)


def test_pairs_name_visits_interval_and_a_change_of_device():
    cohort = make_cohort(
        [("A", 3, 20, 2, "x"), ("A", 1, 24, 1, "x"), ("A", 7, 20, 1, "y"), ("B", 1, 9, 1, "")]
    )
    pairs = cohort.pairs()
    assert pairs["pair"].tolist() == ["A:v1>v3", "A:v3>v7"]
    assert pairs["interval_days"].tolist() == [20, 40]
    assert pairs["device"].tolist() == ["x", "x>y"]
    assert pairs["y"].tolist() == [0, 1]
    assert cohort.visits()["scans"].tolist() == [("A-1-0",), ("A-3-0", "A-3-1"), ("A-7-0",), ("B-1-0",)]
    assert cohort.summary() == {
        "scans": 5,
        "visits": 4,
        "patients": 2,
        "patients_with_pairs": 1,
        "pairs": 2,
        "class_counts": [1, 1, 0],
    }


def test_what_a_caller_does_to_the_pairs_stays_with_him():
    cohort = make_cohort([("A", 1, 20, 1, ""), ("A", 2, 20, 1, "")])
    pairs = cohort.pairs()
    pairs["y"] = 7
    assert cohort.pairs()["y"].tolist() == [1]


@pytest.mark.parametrize("crop", ["9,0,9,9", "1 2 3 4", "1,2,3", "1,2,3," + "9" * 5000])
def test_a_crop_of_any_source_is_a_part_of_a_picture(crop):
    scan = Scan(scan="s", files=(), patient="A", visit="1", order=1, score=1, crop=crop, source="", row=1)
    with pytest.raises(ValueError, match="is not x0,y0,x1,y1"):
        Cohort(name="c", modality="lus", score=MMSE, scans=scan_table([scan]))


def test_scan_ids_are_unique():
    scan = Scan(scan="s", files=(), patient="A", visit="1", order=1.0, score=1.0, source="", row=1)
    with pytest.raises(ValueError, match="unique"):
        Cohort(name="c", modality="mri", score=MMSE, scans=scan_table([scan, scan]))


def test_the_order_of_the_listing_decides_nothing(write_manifest):
    rows = [(f"{p}{v}.mp4", p, str(v), str(300 + 10 * v)) for p in "QAZ" for v in (10, 2, 1)]
    first = load(write_manifest(rows), modality="lus")
    order = np.random.default_rng(0).permutation(len(rows))
    again = load(write_manifest([rows[i] for i in order]), modality="lus")
    assert first.hash == again.hash
    assert first.scans["scan"].tolist() == again.scans["scan"].tolist()
    assert first.visits()["visit"].tolist()[:3] == ["1", "2", "10"]


def test_moving_the_data_keeps_the_hash_and_changing_them_does_not(write_manifest, tmp_path):
    manifest = write_manifest()
    before = load(manifest, modality="lus").hash
    moved = shutil.copytree(tmp_path, tmp_path.parent / "moved")
    assert load(moved / manifest.name, modality="lus").hash == before
    (moved / "a1.mp4").write_bytes(b"A1.mp4")
    assert load(moved / manifest.name, modality="lus").hash != before


@pytest.mark.parametrize(("old", "new"), [("P2", "P3"), (",2,325", ",3,325"), ("280", "281")])
def test_patients_visits_and_scores_are_in_the_hash(write_manifest, old, new):
    manifest = write_manifest()
    before = load(manifest, modality="lus").hash
    manifest.write_text(manifest.read_text().replace(old, new))
    assert load(manifest, modality="lus").hash != before


def test_the_score_definition_is_in_the_hash(write_manifest):
    manifest = write_manifest()
    before = load(manifest, modality="lus").hash
    manifest.with_name("manifest.score.json").write_text('{"score": {"change_threshold": 15}}')
    assert load(manifest, modality="lus").hash != before


def test_a_patients_pseudonym_follows_from_the_id_and_from_what_the_scans_hold_and_from_nothing_else(
    write_manifest, tmp_path
):
    here = load(write_manifest(), modality="lus")
    before = [here.pseudonym(patient) for patient in here.patients]
    assert len({*before}) == len(before) and all(re.fullmatch("[0-9a-f]{12}", name) for name in before)
    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-moved")
    moved = load(tmp_path.parent / f"{tmp_path.name}-moved" / "manifest.csv", modality="lus")
    assert [moved.pseudonym(patient) for patient in moved.patients] == before
    assert before[0] not in {former_pseudonym(patient) for patient in here.patients}
    (tmp_path / "a1.mp4").write_bytes(b"another scan")
    other = load(tmp_path / "manifest.csv", modality="lus")
    assert not {other.pseudonym(patient) for patient in other.patients} & {*before}


def test_the_pseudonyms_of_a_cohort_stay_what_they_are():
    """To change them breaks the ledgers of finished studies."""
    key = pseudonym_key(["b" * 64, "a" * 64, "a" * 64])
    assert pseudonym(key, "A") == "c2dec97cba29"
    assert former_pseudonym("A") == "4e37cae7b09d"


def test_a_file_that_vanished_is_named(write_manifest, tmp_path):
    cohort = load(write_manifest(), modality="lus")
    os.unlink(tmp_path / "b1.mp4")
    with pytest.raises(Exception, match=r"b1\.mp4: No such file"):
        _ = cohort.hash


@given(cohorts)
def test_ordered_pairs_hold_each_consecutive_one_and_its_mirror(cohort):
    ordered = cohort.ordered_pairs().set_index("pair")
    visits = cohort.visits().groupby("patient").size()
    assert len(ordered) == int((visits * (visits - 1)).sum())
    for row in cohort.pairs().itertuples():
        assert ordered.loc[row.pair, "y"] == row.y
        mirror = ordered.loc[f"{row.patient}:{row.later}>{row.earlier}"]
        assert mirror["y"] == 2 - row.y and mirror["change"] == -row.change


def test_no_cohort_holds_a_patient_under_two_spellings():
    with pytest.raises(ValueError, match="written in two ways"):
        make_cohort([("P1", 1, 20, 1, ""), ("p-01", 2, 20, 1, "")])
