"""ADNI: every rule of the join, one image per visit, one family, and what is left out, to the image."""

import pytest

from learner_ray.core.errors import UserError
from tests.cohort.sources.run import IMAGE, cells, imported, plant, reasons

N3 = "MPR__GradWarp__B1_Correction__N3__Scaled"


def image(patient, description, date, uid, series=1):
    name = f"ADNI_{patient}_MR_{description}_Br_20070101_S{series}_I{uid}.nii"
    return f"ADNI/{patient}/{description}/{date}_10_11_12.0/I{uid}/{name}"


def quoted(*rows):
    return "\r\n".join(",".join(f'"{cell}"' for cell in row) for row in rows) + "\r\n"


MERGE_HEAD = ("RID", "ORIGPROT", "PTID", "VISCODE", "EXAMDATE", "MMSE", "IMAGEUID", "FLDSTRENG")


def merged(*rows):
    return quoted(MERGE_HEAD, *rows)


def test_adnimerge_by_image_by_visit_and_by_date(tmp_path):
    files = {
        "ADNIMERGE.csv": merged(
            ("1", "ADNI1", "002_S_0001", "bl", "2006-01-10", "29", "101", "1.5 Tesla MRI"),
            ("1", "ADNI1", "002_S_0001", "m06", "2006-07-10", "27", "", "1.5 Tesla MRI"),
            ("1", "ADNI1", "002_S_0001", "m12", "2007-01-10", "-4", "103", "1.5 Tesla MRI"),
            ("2", "ADNI2", "011_S_0002", "bl", "2012-01-10", "30", "201", "3 Tesla MRI"),
            ("2", "ADNI2", "011_S_0002", "m24", "2014-01-10", "22", "", ""),
        ),
        image("002_S_0001", N3, "2006-01-15", 101): IMAGE,
        image("002_S_0001", N3, "2006-08-01", 102): IMAGE,  # 22 days after m06
        image("002_S_0001", N3, "2007-01-12", 103): IMAGE,  # its score is missing
        image("011_S_0002", N3, "2012-01-11", 201): IMAGE,
        image("011_S_0002", N3, "2015-01-11", 202): IMAGE,  # a year from any score
    }
    result = imported(plant(tmp_path / "in", files))
    columns = ("patient", "visit", "day", "score", "score_rule", "score_days", "score_row", "device")
    assert cells(result, *columns) == [
        ("002_S_0001", "m00", "0", "29", "scan", "-5", "ADNIMERGE.csv:2", "1.5 T"),
        ("002_S_0001", "m06", "198", "27", "nearest", "-22", "ADNIMERGE.csv:3", ""),
        ("011_S_0002", "m00", "0", "30", "scan", "-1", "ADNIMERGE.csv:5", "3 T"),
    ]
    assert {name.rpartition("_")[2]: why for name, why in reasons(result).items()} == {
        "I103.nii": "no score: missing in ADNIMERGE.csv, row 4; the nearest (row 3) is 186 days away, "
        "more than 90",
        "I202.nii": "no score: the nearest (row 6) is 366 days away, more than 90",
    }
    assert "1 scores belong to no scan that was found" in result.notes
    assert result.sidecar == {"modality": "mri", "score": "MMSE", "name": "ADNI"}


def test_mmse_table_by_rid_and_viscode2_with_the_search_table(tmp_path):
    files = {
        "MMSE.csv": quoted(
            ("RID", "VISCODE", "VISCODE2", "VISDATE", "MMSCORE"),
            ("1", "v01", "sc", "01/20/2006", "28"),
            ("1", "v02", "bl", "", "-1"),
            ("1", "v04", "m06", "07/31/2006", "25"),
            ("2", "v01", "scmri", "02/01/2006", "-4"),
        ),
        "idaSearch_1_01_2024.csv": quoted(
            ("Image Data ID", "Subject", "Visit", "Acq Date"),
            ("I101", "002_S_0001", "ADNI Screening", "1/15/2006"),
            ("I102", "002_S_0001", "ADNI1/GO Month 6", "7/15/2006"),
        ),
        image("002_S_0001", "MP-RAGE", "2006-01-15", 101): IMAGE,
        image("002_S_0001", "MP-RAGE", "2006-07-15", 102): IMAGE,
        image("011_S_0002", "MP-RAGE", "2006-02-01", 201): IMAGE,
    }
    result = imported(plant(tmp_path / "in", files))
    assert cells(result, "patient", "visit", "score", "score_rule", "score_days", "score_row") == [
        ("002_S_0001", "m00", "28", "visit", "5", "MMSE.csv:2"),
        ("002_S_0001", "m06", "25", "visit", "16", "MMSE.csv:4"),
    ]
    assert [*reasons(result).values()] == ["no score: missing in MMSE.csv, row 5"]


def test_codes_that_count_no_months_are_no_visits(tmp_path):
    """Year 1 of ADNI3 is not month 12 of who entered in ADNI1."""
    rows = [("1", "y1", "2007-01-15", "20"), ("1", "v06", "2018-03-01", "25")]
    files = {
        "MMSE.csv": quoted(("RID", "VISCODE", "EXAMDATE", "MMSE"), *rows),
        "search.csv": quoted(
            ("Image Data ID", "Subject", "Visit"),
            ("I1", "002_S_0001", "ADNI3 Year 1 Visit"),
            ("I2", "002_S_0001", "ADNI1/GO Month 12"),
        ),
        image("002_S_0001", N3, "2018-03-05", 1): IMAGE,
        image("002_S_0001", N3, "2010-01-15", 2): IMAGE,
    }
    result = imported(plant(tmp_path / "in", files))
    assert cells(result, "score", "score_rule", "score_days") == [("25", "nearest", "-4")]
    assert [*reasons(result).values()] == ["no score: the nearest (row 2) is 1096 days away, more than 90"]


def test_one_image_a_visit_of_one_family_and_field_strength(tmp_path):
    rows = [
        ("1", "ADNI1", "002_S_0001", "bl", "2006-01-15", "29", uid, field)
        for uid, field in (("103", "3"), ("104", "1.5"), ("105", "1.5"), ("106", "1.5"), ("107", "1.5"))
    ]
    rows += [("1", "ADNI1", "002_S_0001", "m12", "2007-01-15", "26", "110", "1.5")]
    files = {
        "ADNIMERGE.csv": merged(*rows),
        image("002_S_0001", N3, "2006-01-15", 103, series=1): IMAGE,  # 3 T
        image("002_S_0001", N3, "2006-01-15", 104, series=9): IMAGE,
        image("002_S_0001", N3, "2006-01-15", 105, series=4): IMAGE,
        image("002_S_0001", "MPR-R__GradWarp__B1_Correction__N3__Scaled", "2006-01-15", 106, series=2): IMAGE,
        image("002_S_0001", "MP-RAGE", "2006-01-15", 107, series=1): IMAGE,
        image("002_S_0001", N3, "2007-01-15", 110): IMAGE,
        image("002_S_0001", "Axial_T2-FLAIR", "2007-01-15", 111): IMAGE,
    }
    result = imported(plant(tmp_path / "in", files))
    assert [row["path"].rpartition("_")[2] for row in result.rows] == ["I105.nii", "I110.nii"]
    why = {name.rpartition("_")[2]: reason.partition(":")[0] for name, reason in reasons(result).items()}
    assert why == {
        "I103.nii": "a repeat",
        "I104.nii": "a repeat",
        "I106.nii": "a repeat",
        "I107.nii": "processed otherwise than the cohort, which is processed (N3, Scaled)",
        "I111": "no T1 image",
    }
    preferred = imported(tmp_path / "in", prefer="MP-RAGE")
    assert [row["path"].rpartition("_")[2] for row in preferred.rows] == ["I107.nii"]


def test_a_series_of_slices_is_one_scan_in_several_files(tmp_path):
    folder = "ADNI/002_S_0001/MP-RAGE/2006-01-15_10_11_12.0/I101"
    files = {f"{folder}/s_{i}.dcm": b"x" for i in range(3)}
    row = ("1", "ADNI1", "002_S_0001", "bl", "2006-01-15", "29", "101", "1.5")
    result = imported(plant(tmp_path / "in", {**files, "ADNIMERGE.csv": merged(row)}))
    assert cells(result, "path", "files") == [("I101", f"in/{folder}/*.dcm")]


def test_what_else_lies_there_is_passed_over_and_said(tmp_path):
    files = {
        "ADNIMERGE.csv": merged(("1", "ADNI1", "002_S_0001", "bl", "2006-01-15", "29", "101", ".")),
        "README.txt": "Dear all, hello\none, two, three\n",
        "ADNI/old_S_backup/list.txt": "",
        image("002_S_0001", N3, "2006-01-15", 101): IMAGE,
    }
    root = plant(tmp_path / "in", files)
    result = imported(root)
    assert cells(result, "score", "device") == [("29", "")]
    assert any(note.startswith("passed over: ") and "README.txt, row 2" in note for note in result.notes)
    (root / "ADNIMERGE.csv").write_text("")
    with pytest.raises(UserError, match=r"no ADNIMERGE\.csv .*\n.*ADNIMERGE\.csv cannot be read .* empty"):
        imported(root)


def test_a_tree_without_scores_or_with_two_tables(tmp_path):
    root = plant(tmp_path / "in", {image("002_S_0001", N3, "2006-01-15", 101): IMAGE})
    with pytest.raises(UserError, match=r"no ADNIMERGE\.csv or MMSE\.csv; name the table in --scores"):
        imported(root)
    plant(root, {"ADNIMERGE.csv": merged(), "ADNIMERGE_2024.csv": merged()})
    with pytest.raises(UserError, match=r"ADNIMERGE\.csv and ADNIMERGE_2024\.csv: it is not clear"):
        imported(root)
