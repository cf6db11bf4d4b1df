"""OASIS-1, 2 and 3 as distributed: sessions, repeats, days and what is left out."""

import pytest
from pandas.testing import assert_frame_equal

from learner_ray.cohort import load
from learner_ray.cohort.manifest import read_manifest
from learner_ray.cohort.sources.writing import write_import
from learner_ray.core.errors import UserError
from tests.cohort.sources.run import IMAGE, cells, imported, plant, reasons

SESSIONS = """Subject ID;MRI ID;Visit;MR Delay;M/F;Age;EDUC;MMSE\r\
OAS2_0001;OAS2_0001_MR1;1;0;M;87;14;27,0\r\
OAS2_0001;OAS2_0001_MR2;2;457;M;88;14;30\r\
OAS2_0002;OAS2_0002_MR1;1;0;F;75;12;\r\
OAS2_0002;OAS2_0002_MR3;3;1895;F;80;12;22\r"""


def raw(session, number, part=1):
    start = f"OAS2_RAW_PART{part}/{session}/RAW/mpr-{number}.nifti"
    return {f"{start}.hdr": b"h", f"{start}.img": IMAGE}


def test_oasis2_as_distributed(tmp_path):
    files = {"oasis_longitudinal.csv": SESSIONS}
    files |= raw("OAS2_0001_MR1", 2) | raw("OAS2_0001_MR1", 1) | raw("OAS2_0001_MR2", 1, part=2)
    files |= raw("OAS2_0002_MR1", 1)
    result = imported(plant(tmp_path / "in", files))
    columns = ("path", "patient", "visit", "day", "score", "age", "sex", "education_years", "score_row")
    assert cells(result, *columns) == [
        ("mpr-1.nifti.img", "OAS2_0001", "1", "0", "27", "87", "M", "14", "oasis_longitudinal.csv:2"),
        ("mpr-1.nifti.img", "OAS2_0001", "2", "457", "30", "88", "M", "14", "oasis_longitudinal.csv:3"),
    ]
    assert reasons(result) == {
        "oasis_longitudinal.csv, row 5": "the session has no image on disk",
        "mpr-1.nifti.img": "no score: missing in oasis_longitudinal.csv, row 4",
        "mpr-2.nifti.img": "a repeat: mpr-1.nifti.img of this visit was taken",
    }


def test_the_table_is_found_in_the_one_folder_below_that_holds_it(tmp_path):
    files = {"oasis_longitudinal.csv": SESSIONS, **raw("OAS2_0001_MR1", 1), **raw("OAS2_0001_MR2", 1)}
    plant(tmp_path / "in" / "download", files)
    assert cells(imported(tmp_path / "in"), "score") == [("27",), ("30",)]


def test_oasis1_has_one_visit_and_its_rescans_are_none(tmp_path):
    table = "ID,M/F,Age,Educ,MMSE,Delay\nOAS1_0001_MR1,F,74,2,29,N/A\n"
    table += "OAS1_0061_MR1,F,20,,,N/A\nOAS1_0061_MR2,F,20,,30,9\n"
    atlas = "disc1/{0}/PROCESSED/MPRAGE/T88_111/{0}_mpr_n4_anon_111_t88_gfc.img"
    files = {atlas.format(s): IMAGE for s in ("OAS1_0001_MR1", "OAS1_0061_MR1", "OAS1_0061_MR2")}
    files |= {f"disc1/OAS1_0001_MR1/RAW/OAS1_0001_MR1_mpr-{n}_anon.img": IMAGE for n in (1, 2)}
    files["disc1/OAS1_0001_MR1/FSL_SEG/OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc_fseg.img"] = IMAGE
    root = plant(tmp_path / "in", {**files, "oasis_cross-sectional.csv": table})
    result = imported(root)
    assert cells(result, "path", "patient", "score", "education_years") == [
        ("OAS1_0001_MR1_mpr_n4_anon_111_t88_gfc.img", "OAS1_0001", "29", "")
    ]
    assert {name.removesuffix(".img"): why.partition(":")[0] for name, why in reasons(result).items()} == {
        "OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc_fseg": "a segmentation or mask",
        "OAS1_0001_MR1_mpr-1_anon": "another kind of image than the cohort's, which is atlas space",
        "OAS1_0001_MR1_mpr-2_anon": "another kind of image than the cohort's, which is atlas space",
        "OAS1_0061_MR1_mpr_n4_anon_111_t88_gfc": "no score",
        "OAS1_0061_MR2_mpr_n4_anon_111_t88_gfc": "a reliability rescan, no further visit",
    }
    assert cells(imported(root, prefer="mpr-2"), "path") == [("OAS1_0001_MR1_mpr-2_anon.img",)]


def oasis3(session, run=""):
    subject, day = session.split("_MR_")
    return f"{session}/anat2/NIFTI/sub-{subject}_ses-{day}{run}_T1w.nii.gz"


@pytest.mark.parametrize(
    "table",
    [
        "OASISID,OASIS_session_label,days_to_visit,MMSE\n"
        "OAS30001,OAS30001_UDSb4_d0000,0,29\nOAS30001,OAS30001_UDSb4_d0339,339,28\nOAS30002,x,700,30\n",
        "ADRC_ADRCCLINICALDATA ID,Subject,mmse\n"
        "OAS30001_ClinicalData_d0000,OAS30001,29\nOAS30001_ClinicalData_d0339,OAS30001,28\n"
        "OAS30002_ClinicalData_d0700,OAS30002,30\n",
    ],
)
def test_oasis3_by_days_since_entry(tmp_path, table):
    images = [
        oasis3("OAS30001_MR_d0000"),
        oasis3("OAS30001_MR_d0129"),
        oasis3("OAS30001_MR_d0300", "_run-02"),
    ]
    images += [
        oasis3("OAS30001_MR_d0300", "_run-01"),
        oasis3("OAS30001_MR_d0349"),
        oasis3("OAS30002_MR_d0100"),
    ]
    files = {"OASIS3_UDSb4_cdr.csv": table, "README.txt": "Dear all, hello\none, two, three\n"}
    root = plant(tmp_path / "in", {**dict.fromkeys(images, IMAGE), **files})
    result = imported(root)
    assert cells(result, "patient", "visit", "day", "score", "score_days", "score_rule") == [
        ("OAS30001", "d0000", "0", "29", "0", "nearest"),
        ("OAS30001", "d0349", "349", "28", "-10", "nearest"),
    ]
    assert reasons(result) == {
        "sub-OAS30001_ses-d0129_T1w.nii.gz": "no score: the nearest (row 2) is 129 days away, more than 90",
        "sub-OAS30001_ses-d0300_run-02_T1w.nii.gz": "a repeat: "
        "sub-OAS30001_ses-d0300_run-01_T1w.nii.gz of this visit was taken",
        "sub-OAS30001_ses-d0300_run-01_T1w.nii.gz": "no score: that of row 3 is nearer to d0349",
        "sub-OAS30002_ses-d0100_T1w.nii.gz": "no score: the nearest (row 4) is 600 days away, more than 90",
    }


def test_two_studies_in_one_folder_or_two_tables_are_refused(tmp_path):
    mixed = raw("OAS2_0001_MR1", 1) | {oasis3("OAS30001_MR_d0000"): IMAGE}
    with pytest.raises(UserError, match="OASIS-2 and OASIS-3: import each alone"):
        imported(plant(tmp_path / "mixed", mixed))
    tables = {"oasis_longitudinal.csv": SESSIONS, "oasis_longitudinal (1).csv": SESSIONS}
    with pytest.raises(UserError, match="it is not clear which one lists the sessions"):
        imported(plant(tmp_path / "in", {**raw("OAS2_0001_MR1", 1), **tables}))


def test_a_folder_with_its_own_scores_takes_no_others(tmp_path):
    """Severities under the name of another score would be wrong without a word."""
    files = {"severity.csv": "video_file,Severity Score\npatient_1_L1,2\npatient_2_L1,1\n"}
    files |= {f"lus_videos/patient_{n}_L1.mp4": b"x" for n in (1, 2)}
    root = plant(tmp_path / "in", files)
    assert cells(imported(root, score="Severity"), "score") == [("2",), ("1",)]
    for said in ({"score": "sf"}, {"scores": root / "severity.csv"}, {"columns": {"score": "x"}}):
        with pytest.raises(UserError, match="brings its own score, severity"):
            imported(root, **said)


@pytest.mark.parametrize(
    ("name", "kind"), [("oasis2-midslices", "oasis"), ("covid-blues-subset", "covid-blues")]
)
def test_an_imported_folder_is_the_cohort_that_a_sweep_reads(shared_data, tmp_path, name, kind):
    cohort = load(shared_data(name), modality="mri")
    result = imported(shared_data(name), kind, out=tmp_path / "m.csv")
    write_import(tmp_path / "m.csv", result.rows, result.sidecar, result.left_out)
    again = read_manifest(tmp_path / "m.csv", modality="mri")
    assert again.summary() == cohort.summary()
    assert (again.score, again.temporal, again.name) == (cohort.score, cohort.temporal, cohort.name)
    columns = ["files", "patient", "score", "age", "sex", "education_years"]
    assert_frame_equal(again.scans[columns], cohort.scans[columns], rtol=1e-9)
    assert again.pairs()["y"].tolist() == cohort.pairs()["y"].tolist()
    assert sorted(again.ratings.values()) == sorted(cohort.ratings.values())
