"""A table of scans in any form: columns by name, dates, codes, and rows that cannot be used."""

import openpyxl
import pytest

from learner_ray.cohort.manifest import read_unscored
from learner_ray.cohort.sources.writing import write_import
from learner_ray.core.errors import UserError
from tests.cohort.sources.run import cells, imported, plant, reasons

CLIPS = {f"clips/{name}.mp4": b"x" for name in "abcd"}


def test_utf16_with_semicolons_and_decimal_commas(tmp_path):
    rows = "Datei;Fall;Untersuchung;Wert\r\n" + "".join(
        f"clips\\{name}.mp4;{case};{day}.01.2024;{score}\r\n"
        for name, case, day, score in (
            ("a", "Müller", 30, "1,5"),
            ("b", "Müller", 31, "-9"),
            ("c", "Ünal", 31, "3"),
            ("z", "Ünal", 1, "2"),
        )
    )
    plant(tmp_path, CLIPS)
    plant(tmp_path, {"scans.csv": rows}, "utf-16")
    columns = {"path": "Datei", "patient": "Fall", "date": "Untersuchung", "score": "Wert"}
    result = imported(
        tmp_path / "scans.csv", columns=columns, score="severity", missing=("-9",), modality="lus"
    )
    assert cells(result, "path", "patient", "day", "score", "scan_date", "score_row") == [
        ("a.mp4", "Müller", "0", "1.5", "2024-01-30", "scans.csv:2"),
        ("c.mp4", "Ünal", "0", "3", "2024-01-31", "scans.csv:4"),
    ]
    assert reasons(result) == {
        "scans.csv, row 5": "clips\\z.mp4 does not exist",
        "b.mp4": "no score: missing in scans.csv, row 3",
    }


def test_a_workbook_joined_with_a_table_of_scores_by_american_dates(tmp_path):
    book = openpyxl.Workbook()
    for row in (["file", "PTID", "date"], ["clips/a.mp4", 7, "01/31/2024"], ["clips/b.mp4", 7, "08/05/2024"],
                ["clips/c.mp4", "", "08/05/2024"]):  # fmt: skip
        book.active.append(row)
    plant(tmp_path, CLIPS)
    book.save(tmp_path / "scans.xlsx")
    scores = "patient_id,Exam,MMSE\n007,02/01/2024,29\n007,07/20/2024,-4\n007,08/30/2024,25\n"
    plant(tmp_path, {"scores.csv": scores})
    said = {"scores": tmp_path / "scores.csv", "score": "MMSE", "missing": ("-4",), "modality": "mri"}
    with pytest.raises(UserError, match="nothing says to which visit a score belongs"):
        imported(tmp_path / "scans.xlsx", **said)
    plant(tmp_path, {"scores.csv": scores.replace("Exam", "EXAMDATE")})
    result = imported(tmp_path / "scans.xlsx", **said)
    assert cells(result, "path", "day", "score", "score_date", "score_days") == [
        ("a.mp4", "0", "29", "2024-02-01", "1"),
        ("b.mp4", "187", "25", "2024-08-30", "25"),
    ]
    assert reasons(result) == {"scans.xlsx, row 4": "patient is empty"}
    assert [row["score_row"] for row in imported(tmp_path / "scans.xlsx", window=24, **said).rows] == [
        "scores.csv:2"
    ]


def test_names_of_columns_count_in_the_table_that_has_them(tmp_path):
    scans, scores = "Clip;Case;Made\nclips/a.mp4;1;2024-01-31\n", "Case,Made,Time,Sum\n1,x,2024-02-01,20\n"
    plant(tmp_path, {**CLIPS, "s.csv": scans, "scores.csv": scores})
    columns = {"path": "Clip", "patient": "Case", "date": "Made", "score": "Sum", "scores.date": "Time"}
    said = {"scores": tmp_path / "scores.csv", "score": "MMSE", "modality": "lus"}
    result = imported(tmp_path / "s.csv", columns=columns, **said)
    assert cells(result, "score", "scan_date", "score_date") == [("20", "2024-01-31", "2024-02-01")]
    with pytest.raises(UserError, match=r"--columns view=V: neither .*s\.csv nor .*scores\.csv has such"):
        imported(tmp_path / "s.csv", columns={**columns, "view": "V"}, **said)
    with pytest.raises(
        UserError, match=r"scores\.csv, row 1: --columns date=When: no such column; found: Case, Made"
    ):
        imported(tmp_path / "s.csv", columns={**columns, "scores.date": "When"}, **said)


def test_two_scores_of_ambiguous_date_ask_for_the_format(tmp_path):
    plant(tmp_path, {**CLIPS, "s.csv": "path,patient,date,score\nclips/a.mp4,1,03/04/2024,3\n"})
    said = {"columns": {"score": "score"}, "score": "severity", "modality": "lus"}
    with pytest.raises(
        UserError, match=r"s\.csv, column date, row 2: '03/04/2024' may be day or month first"
    ):
        imported(tmp_path / "s.csv", **said)
    result = imported(tmp_path / "s.csv", date_format="DD/MM/YYYY", **said)
    assert cells(result, "scan_date") == [("2024-04-03",)]


def test_a_folder_of_frames_is_one_scan_and_the_column_names_the_score(tmp_path):
    frames = {f"clips/one [x]/f{i}.png": b"%d" % i for i in (10, 9, 2)}
    plant(tmp_path, {**frames, "s.csv": "path,patient,day,MMSE\nclips/one [x],a,0,3\n"})
    result = imported(tmp_path / "s.csv", columns={"score": "MMSE"}, modality="mri")
    assert result.sidecar["score"] == "MMSE"
    write_import(tmp_path / "m.csv", result.rows, result.sidecar, result.left_out)
    files = read_unscored(tmp_path / "m.csv")["files"][0]
    assert [file.rpartition("/")[2] for file in files] == ["f2.png", "f9.png", "f10.png"]


@pytest.mark.parametrize(
    ("table", "said", "message"),
    [
        (
            "file,date,MMSE\na,b,1\n",
            {},
            "no column is known to hold the patient; name it in --columns patient=NAME",
        ),
        ("file,patient,MMSE\na,b,1\n", {}, "no column is known to hold the date"),
        (
            "file,patient,day,MMSE\na,b,1,2\n",
            {"columns": {"view": "x"}},
            "--columns view=x: no such column; found: file, patient",
        ),
        ("file,patient,day,MMSE\nclips/a.mp4,b,1,31\n", {}, "row 2: MMSE 31 is outside 0 to 30"),
        ("file,patient,day,MMSE\nclips/a.mp4,b,1,many\n", {}, "row 2: MMSE 'many' is no number"),
        ("file,patient,day,MMSE\nclips/a.mp4,b,soon,3\n", {}, "row 2: day 'soon' is no number of days"),
        ("file,patient,day,x\nclips/a.mp4,b,1,3\n", {"score": "x"}, "score 'x' is not a known one"),
        ("file,patient,day,MMSE\nclips/a.mp4,b,1,3\n", {"modality": ""}, "give --modality"),
    ],
)
def test_a_fault_names_row_and_remedy(tmp_path, table, said, message):
    plant(tmp_path, {**CLIPS, "s.csv": table})
    with pytest.raises(UserError) as caught:
        imported(tmp_path / "s.csv", **{"score": "MMSE", "modality": "mri", **said})
    assert message in str(caught.value)


def test_ages_and_ratings_with_decimal_commas(tmp_path):
    rows = "path;patient;day;MMSE;site;age;rating\nclips/a.mp4;1;0;20;1,5;72,5;19,5\n"
    plant(tmp_path, {**CLIPS, "s.csv": rows})
    result = imported(tmp_path / "s.csv", score="MMSE", modality="mri")
    assert cells(result, "site", "age", "rating") == [("1,5", "72.5", "19.5")]


def test_crop_and_mask_of_a_table_are_those_of_the_manifest(tmp_path):
    head, scan = "path,patient,day,MMSE,crop,mask\n", "../clips/{}.mp4,1,{},20,{},{}\n"
    rows = head + scan.format("a", 0, '"1,2,30,40"', "masks\\m.png") + scan.format("b", 9, "", "")
    plant(tmp_path, {**CLIPS, "tables/masks/m.png": b"x", "tables/s.csv": rows})
    result = imported(tmp_path / "tables/s.csv", out=tmp_path / "m.csv", score="MMSE", modality="mri")
    assert cells(result, "crop", "mask") == [("1,2,30,40", "tables/masks/m.png"), ("", "")]
    write_import(tmp_path / "m.csv", result.rows, result.sidecar, result.left_out)
    scans = read_unscored(tmp_path / "m.csv")
    assert [*scans["crop"]] == ["1,2,30,40", ""]
    assert [*scans["mask"]] == [str(tmp_path / "tables/masks/m.png"), ""]


def test_minutes_count_however_many_days_came_before(tmp_path):
    rows = "path,patient,day,MMSE\nclips/a.mp4,1,10000.12,20\nclips/b.mp4,1,10000.14,25\n"
    plant(tmp_path, {**CLIPS, "s.csv": rows})
    result = imported(tmp_path / "s.csv", score="MMSE", modality="mri")
    assert cells(result, "day") == [("0",), ("0.02",)]


def test_two_spellings_of_a_patient_in_the_scores_are_refused(tmp_path):
    plant(tmp_path, {**CLIPS, "s.csv": "path,patient,day\nclips/a.mp4,P01,1\n"})
    plant(tmp_path, {"scores.csv": "patient,day,MMSE\nP-01,1,20\nP01,1,20\n"})
    with pytest.raises(
        UserError, match=r"scores\.csv: row 3: patient 'P01' and 'P-01' in row 2 look like one"
    ):
        imported(tmp_path / "s.csv", scores=tmp_path / "scores.csv", score="MMSE", modality="mri")
