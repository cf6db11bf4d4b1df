"""BIDS and CAPS: which images are taken, when their sessions were, and what is left out, to the row."""

import pytest

from learner_ray.core.errors import UserError
from tests.cohort.sources.run import IMAGE, cells, imported, plant, reasons

ANNEX = "../../.git/annex/objects/xx/MD5E-s2000--d41d.nii.gz/MD5E-s2000--d41d.nii.gz"


def tree(root, tables, images, name="study"):
    """A BIDS data set: tables of sessions by subject, and images ``01/M00/T1w`` or ``01/M00/run-2_T1w``."""
    files = {"dataset_description.json": '{"Name": "t", "BIDSVersion": "1.9.0"}'}
    for subject, rows in tables.items():
        files[f"sub-{subject}/sub-{subject}_sessions.tsv"] = "\n".join(rows) + "\n"
    for image in images:
        subject, session, rest = image.split("/")
        folder = f"sub-{subject}/ses-{session}/anat"
        files[f"{folder}/sub-{subject}_ses-{session}_{rest}.nii.gz"] = IMAGE
    return plant(root / name, files)


HEAD = "session_id\tage\tacq_time\tmmse"


def two_patients(tmp_path):
    return tree(
        tmp_path,
        {
            "01": ["\ufeff" + HEAD, "ses-M00\t70\t1901-01-05\t29", "ses-M12\t71\t1902-01-05T10:00:00\t25"],
            "02": [HEAD, "ses-M00\t60\tn/a\t30", "ses-M12\t61.5\tn/a\tn/a", "ses-M24\tn/a\tn/a\t20"],
        },
        ["01/M00/run-2_T1w", "01/M00/run-1_T1w", "01/M00/FLAIR", "01/M12/T1w", "02/M00/T1w", "02/M12/T1w",
         "02/M18/T1w"],
    )  # fmt: skip


def test_scans_times_scores_and_all_that_is_left_out(tmp_path):
    root = two_patients(tmp_path)
    result = imported(root, score="MMSE")
    assert cells(result, "path", "patient", "visit", "day", "score", "score_rule", "score_row") == [
        ("sub-01_ses-M00_run-1_T1w.nii.gz", "sub-01", "ses-M00", "0", "29", "visit", "sub-01_sessions.tsv:2"),
        ("sub-01_ses-M12_T1w.nii.gz", "sub-01", "ses-M12", "365", "25", "visit", "sub-01_sessions.tsv:3"),
        ("sub-02_ses-M00_T1w.nii.gz", "sub-02", "ses-M00", "0", "30", "visit", "sub-02_sessions.tsv:2"),
    ]
    assert reasons(result) == {
        "sub-01_ses-M00_run-2_T1w.nii.gz": "a repeat: sub-01_ses-M00_run-1_T1w.nii.gz of this visit was "
        "taken",
        "sub-02_ses-M12_T1w.nii.gz": "no score: missing in sub-02_sessions.tsv, row 3",
        "sub-02_ses-M18_T1w.nii.gz": "no score: no row of this visit",
        "sub-02_sessions.tsv, row 4": "the session has no such image on disk",
    }
    assert "times of visits: acq_time (1 patients), label (1 patients)" in result.notes


def test_sessions_of_a_subject_without_any_image_are_listed(tmp_path):
    root = tree(tmp_path, {"1": [HEAD, "M00\t1\t\t29"], "2": [HEAD, "M00\t1\t\t9"]}, ["1/M00/T1w"])
    assert reasons(imported(root, score="MMSE")) == {
        "sub-2_sessions.tsv, row 2": "the session has no such image on disk"
    }


def test_another_image_is_taken_if_it_is_preferred(tmp_path):
    root = two_patients(tmp_path)
    assert cells(imported(root, score="MMSE", prefer="FLAIR"), "path") == [("sub-01_ses-M00_FLAIR.nii.gz",)]
    names = cells(imported(root, score="MMSE", prefer="run-2"), "path")
    assert ("sub-01_ses-M00_run-2_T1w.nii.gz",) in names
    assert "--prefer run-7: no image is named so" in imported(root, score="MMSE", prefer="run-7").notes


def test_what_lies_elsewhere_is_left_out(tmp_path):
    tables = {n: [HEAD, "ses-1\t70\t2020-01-01\t29", "ses-2\t71\t2021-01-01\t25"] for n in ("1", "2")}
    root = tree(tmp_path, tables, ["1/1/T1w", "2/1/T1w", "2/2/T1w"])
    link = root / "sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz"
    link.parent.mkdir(parents=True)
    link.symlink_to(ANNEX)
    (root / "sub-2/ses-1/anat/sub-2_ses-1_T1w.nii.gz").write_bytes(b"")
    (root / "sub-2/ses-2/anat/sub-2_ses-2_T1w.nii.gz").write_text("/annex/objects/MD5E-s2000--d41d.nii.gz\n")
    result = imported(root, score="MMSE")
    assert cells(result, "path") == [("sub-1_ses-1_T1w.nii.gz",)]
    names = ("sub-1_ses-2_T1w.nii.gz", "sub-2_ses-1_T1w.nii.gz", "sub-2_ses-2_T1w.nii.gz")
    assert reasons(result) == {
        name: f"its content is not here: datalad get {name} in its folder" for name in names
    }


def test_times_that_contradict_the_labels_are_refused_until_another_source_is_named(tmp_path):
    rows = [HEAD, "M00\t70\t2006-01-01 00:00:00\t29", "M12\t71\t2006-01-01 00:00:00\t25"]
    root = tree(tmp_path, {"1": rows}, ["1/M00/T1w", "1/M12/T1w"])
    with pytest.raises(
        UserError, match="sub-1: by acq_time, ses-M00 and ses-M12 are both at 2006-01-01"
    ) as caught:
        imported(root, score="MMSE")
    assert "choose in --time-from: acq_time" in str(caught.value)
    result = imported(root, score="MMSE", time_from="age")
    assert cells(result, "visit", "day") == [("ses-M00", "0"), ("ses-M12", "365.25")]


def test_dates_of_the_tables_of_scans(tmp_path):
    root = tree(tmp_path, {"1": ["session_id\tMMS", "1\t29", "2\t25"]}, ["1/1/T1w", "1/2/T1w"])
    for session, when in (("1", "1890-03-01T08:00:00"), ("2", "1890-04-01T08:00:00")):
        scans = f"filename\tacq_time\nanat/x\t{when}\n"
        plant(root, {f"sub-1/ses-{session}/sub-1_ses-{session}_scans.tsv": scans})
    assert cells(imported(root, score="MMSE"), "day", "score") == [("0", "29"), ("31", "25")]


def test_sessions_that_state_no_time_are_ordered_by_their_index(tmp_path):
    root = tree(tmp_path, {"1": ["session_id\tmmse", "02\t25", "01\t29"]}, ["1/02/T1w", "1/01/T1w"])
    assert cells(imported(root, score="MMSE"), "visit", "day") == [("ses-01", ""), ("ses-02", "")]


def test_scores_in_phenotype(tmp_path):
    root = tree(tmp_path, {"1": ["session_id\tage", "M00\t70", "M12\t71"]}, ["1/M00/T1w", "1/M12/T1w"])
    rows = "participant_id\tsession_id\tMMSE\nsub-1\tses-M12\t25\n1\tM00\t29\n"
    plant(root, {"phenotype/mmse.tsv": rows, "phenotype/other.tsv": "participant_id\tx\nsub-1\t1\n"})
    assert cells(imported(root, score="MMSE"), "score", "score_row") == [
        ("29", "mmse.tsv:3"),
        ("25", "mmse.tsv:2"),
    ]


def test_a_table_may_write_a_session_otherwise_than_its_folder(tmp_path):
    rows = ["session_id\tacq_time\tMMSE", "1\t2020-01-01\t25", "ses-2\t2021-01-01\t29"]
    root = tree(tmp_path, {"01": rows}, ["01/01/T1w", "01/02/T1w"])
    result = imported(root, score="MMSE")
    assert cells(result, "visit", "day", "score") == [("ses-01", "0", "25"), ("ses-02", "366", "29")]
    assert reasons(result) == {}
    plant(root, {"sub-01/sub-01_sessions.tsv": "", "sub-01/sub-01_scans.tsv": "", "phenotype/age.tsv": ""})
    plant(root, {"phenotype/mmse.tsv": "participant_id\tsession_id\tMMSE\n1\t1\t25\n01\t3\t20\n"})
    result = imported(root, score="MMSE")
    assert cells(result, "visit", "score") == [("ses-01", "25")]
    assert reasons(result) == {
        "sub-01_ses-02_T1w.nii.gz": "no score: no row of this visit",
        "mmse.tsv, row 3": "the session has no such image on disk",
    }


def test_a_score_per_patient_alone_is_refused(tmp_path):
    root = tree(tmp_path, {}, ["1/M00/T1w", "1/M12/T1w"])
    with pytest.raises(UserError, match="no table of sessions and no phenotype"):
        imported(root, score="MMSE")
    plant(root, {"participants.tsv": "participant_id\tMMSE\nsub-1\t29\n"})
    with pytest.raises(UserError, match="MMSE stands here alone, which is one value per patient"):
        imported(root, score="MMSE")


def test_derivatives_in_one_space(tmp_path):
    root = two_patients(tmp_path)
    for space in ("MNI", "T1w"):
        name = (
            f"derivatives/fmriprep/sub-01/ses-M00/anat/sub-01_ses-M00_space-{space}_desc-preproc_T1w.nii.gz"
        )
        plant(root, {name: IMAGE})
    with pytest.raises(UserError, match=r"in several spaces \(MNI, T1w\); choose one with --space"):
        imported(root, score="MMSE", derivative="fmriprep")
    result = imported(root, score="MMSE", derivative="fmriprep", space="MNI")
    assert cells(result, "path") == [("sub-01_ses-M00_space-MNI_desc-preproc_T1w.nii.gz",)]


def test_caps_takes_cropped_images_and_scores_of_bids(tmp_path):
    bids = two_patients(tmp_path)
    start = "subjects/sub-01/ses-M{0}/t1_linear/sub-01_ses-M{0}_space-MNI152NLin2009cSym"
    caps = plant(
        tmp_path / "caps",
        {
            "dataset_description.json": '{"CAPSVersion": "1.0.0"}',
            f"{start.format('00')}_desc-Crop_res-1x1x1_T1w.nii.gz": IMAGE,
            f"{start.format('00')}_res-1x1x1_T1w.nii.gz": IMAGE,
            f"{start.format('12')}_desc-Crop_res-1x1x1_T1w.nii.gz": IMAGE,
        },
    )
    with pytest.raises(UserError, match="give --bids FOLDER"):
        imported(caps, score="MMSE")
    result = imported(caps, score="MMSE", bids=bids)
    assert cells(result, "patient", "visit", "day", "score") == [
        ("sub-01", "ses-M00", "0", "29"),
        ("sub-01", "ses-M12", "365", "25"),
    ]
    assert all("desc-Crop" in row["path"] for row in result.rows)
