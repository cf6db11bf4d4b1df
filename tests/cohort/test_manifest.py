"""A manifest is read as documented, and each fault is told with file, row and remedy."""

import json
import math
from pathlib import Path

import pytest

from learner_ray.cohort import MMSE, SF_RATIO, load
from learner_ray.cohort.manifest import read_unscored
from learner_ray.core.errors import UserError
from tests.cohort.rows import COLUMNS, VALID


def fault(manifest, modality="lus") -> str:
    with pytest.raises(UserError) as caught:
        load(manifest, modality=modality)
    return str(caught.value)


def test_a_plain_manifest(write_manifest, tmp_path):
    cohort = load(write_manifest(), modality="lus")
    assert cohort.score == SF_RATIO
    assert cohort.modality == "lus" and cohort.temporal and not cohort.phantom
    assert cohort.pairs()["y"].tolist() == [2, 1]
    assert math.isnan(cohort.pairs()["interval_days"][0])
    first = cohort.scans.iloc[0]
    assert first["scan"] == "a1.mp4" and first["files"] == (str(tmp_path / "a1.mp4"),)
    assert (first["source"], first["row"]) == (str(tmp_path / "manifest.csv"), 2)


@pytest.mark.parametrize(("name", "separator"), [("x.tsv", "\t"), ("x.csv", ";"), ("x.csv", ",")])
def test_separators_capitals_spaces_and_a_byte_order_mark(write_manifest, name, separator):
    path = write_manifest(columns=("Path", " PATIENT", "Visit", "score "), name=name, separator=separator)
    for file, *_ in VALID:
        (path.parent / file).write_bytes(b"x")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(path, modality="lus").summary()["pairs"] == 2


def test_dates_give_order_interval_and_visits_without_dates(write_manifest):
    rows = [
        ("a1.mp4", "P1", "2024-03-01", "300"),
        ("a2.mp4", "P1", "2024-02-28T12:00", "325"),
        ("a3.mp4", "P1", "2024-02-28", "325"),
        ("b1.mp4", "P2", "2023-12-31", "300"),
    ]
    cohort = load(write_manifest(rows, ("path", "patient", "date", "score")), modality="lus")
    assert cohort.visits()["scans"].tolist() == [("a3.mp4",), ("a2.mp4",), ("a1.mp4",), ("b1.mp4",)]
    assert cohort.pairs()["pair"].tolist() == ["P1:1>2", "P1:2>3"]
    assert cohort.visits()["day"].tolist() == [0, 0.5, 2, 0]
    assert cohort.pairs()["interval_days"].tolist() == [0.5, 1.5]
    assert "2024" not in cohort.scans.drop(columns=["files", "source"]).to_csv()


def test_a_visit_column_names_what_dates_order(write_manifest):
    rows = [
        ("a1.mp4", "P1", "late", "2024-03-01", "300"),
        ("a2.mp4", "P1", "early", "2024-02-01", "325"),
        ("b1.mp4", "P2", "only", "2024-02-01", "325"),
    ]
    cohort = load(write_manifest(rows, ("path", "patient", "visit", "date", "score")), modality="lus")
    assert cohort.pairs()["pair"].tolist() == ["P1:early>late"]


def test_visits_sort_by_the_number_in_their_label(write_manifest):
    labels = ["m12", "bl", "m06", "m102"]
    rows = [(f"{v}.nii", "P1", v, "20") for v in labels] + [("b.nii", "P2", "bl", "20")]
    visits = load(write_manifest(rows), modality="mri").visits()
    assert visits["visit"].tolist() == ["bl", "m06", "m12", "m102", "bl"]


def test_view_site_and_device_are_kept_and_other_columns_noted(write_manifest):
    rows = [(*row, "L1", "Ulm", "probe", "77") for row in VALID]
    cohort = load(write_manifest(rows, (*COLUMNS, "view", "site", "device", "weight")), modality="lus")
    assert cohort.scans[["view", "site", "device"]].iloc[0].tolist() == ["L1", "Ulm", "probe"]
    assert cohort.notes == ("columns not used: weight",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("absent.mp4", "P1", "3", "300"), "row 6: absent.mp4 does not exist; correct the path"),
        (("", "P1", "3", "300"), "row 6: path is empty; fill it in"),
        (
            (".", "P1", "3", "300"),
            "row 6: . is a folder, but not of MR slices alone; name its files, in a manifest",
        ),
        (("c.mp4", " ", "3", "300"), "row 6: patient is empty; fill it in"),
        (("c.mp4", "P1", "", "300"), "row 6: visit is empty"),
        (
            ("c.mp4", "P1", "x", "300"),
            "row 6: visit 'x' cannot be sorted: write a number, a time with its unit (m06, week -4), bl or",
        ),
        (("c.mp4", "P1", "3", "?"), "row 6: score '?' is not a number: write it as one, or name the code in"),
        (("c.mp4", "P1", "3", "inf"), "row 6: score 'inf' is not a number"),
        (
            ("c.mp4", "P1", "3", '"300,5"'),
            "row 6: score '300,5' is not a number: write it as one, with a dec",
        ),
        (("c.mp4", "P1", "3", "4.6"), "row 6: score 4.6 is outside 40 to 477, the range of S/F ratio"),
        (("c.mp4", "P1", "2", "300"), "row 6: score 300 differs from 325 in row 3, the same visit"),
        (
            ("c.mp4", "P1", "02", "325"),
            "row 6: visits '02' and '2' (row 3) of one patient have the same position in time",
        ),
        (
            ("c.mp4", "P1", "v2", "325"),
            "row 6: visit 'v2' is a number of 'visit', '1' in row 2 is a bare number",
        ),
        (("./a1.mp4", "P1", "3", "300"), "row 6: a1.mp4 is the file of row 2; list each file once"),
        (("c.mp4", "p1", "3", "300"), "row 6: patient 'p1' and 'P1' in row 2 look like one"),
        (("c.mp4", "P1 ", "3", "300"), "row 6: patient 'P1 ' and 'P1' in row 2 look like one"),
        (("c.mp4", "P01", "3", "300"), "row 6: patient 'P01' and 'P1' in row 2 look like one"),
        (("c.mp4", "P1", "3", "300", "5"), "row 6: 5 cells under 4 column names"),
    ],
)
def test_a_fault_in_a_row(write_manifest, row, message):
    path = write_manifest([*VALID, row])
    assert fault(path).startswith(f"{path}: {message}")


def test_three_spellings_of_one_patient_are_told_together(write_manifest):
    rows = [(f"{i}.mp4", patient, str(i), "300") for i, patient in enumerate(["P7", "p7 ", "P07"])]
    told = fault(write_manifest(rows))
    assert "row 3: patient 'p7 ' and 'P7' in row 2 look like one" in told
    assert "row 4: patient 'P07' and 'P7' in row 2 look like one" in told


@pytest.mark.parametrize("columns", [COLUMNS[:3], COLUMNS])
def test_scans_can_be_read_without_their_scores(write_manifest, columns):
    rows = [row[: len(columns)] for row in VALID[:2]]
    scans = read_unscored(write_manifest([(*row[:3], "n/a")[: len(columns)] for row in rows], columns))
    assert scans["visit"].tolist() == ["1", "2"] and scans["score"].isna().all()


def test_without_scores_all_else_is_checked(write_manifest):
    path = write_manifest([*VALID, ("absent.mp4", "P1", "3", "300"), ("c.mp4", "p1", "3", "300")])
    with pytest.raises(
        UserError, match=r"(?s)row 6: absent.mp4 does not exist.*row 7: patient 'p1' and 'P1'"
    ):
        read_unscored(path)


def test_a_link_to_a_listed_file_is_that_file(write_manifest, tmp_path):
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a1.mp4")
    path = write_manifest([*VALID, ("link.mp4", "P3", "1", "300")])
    assert "row 6: link.mp4 is the file of row 2" in fault(path)


def test_patients_that_differ_in_more_than_spelling_are_two(write_manifest):
    rows = [("a.mp4", "P1", "1", "300"), ("b.mp4", "P10", "1", "300"), ("c.mp4", "P1-0", "1", "300")]
    assert load(write_manifest(rows), modality="lus").summary()["patients"] == 3


def test_a_moved_manifest_is_the_same_cohort(write_manifest, tmp_path):
    """Unless it lies above its files: those scans are called by their paths below it, and stay so."""
    write_manifest([(f"data/{file}", *rest) for file, *rest in VALID])
    hashes = []
    for folder in ("here", "there/deep"):
        path = tmp_path / folder / "manifest.csv"
        path.parent.mkdir(parents=True)
        lines = [",".join(COLUMNS), *(",".join([str(tmp_path / "data" / f), *rest]) for f, *rest in VALID)]
        path.write_text("\n".join(lines))
        cohort = load(path, modality="lus")
        assert cohort.scans["scan"].tolist() == [file for file, *_ in VALID]
        hashes.append(cohort.hash)
    assert hashes[0] == hashes[1]
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    path.write_text(path.read_text().replace(str(tmp_path / "data"), "../../elsewhere"))
    assert load(path, modality="lus").hash == hashes[0]


def test_an_unknown_table_is_answered_on_one_screen(write_manifest):
    told = fault(write_manifest([("a", "b")], ("participant_id", "MMSE")))
    assert "no column path, patient, score, visit, date or day; found: participant_id, mmse (1 rows)" in told
    assert "path,patient,visit,score\n" in told and "python -m learner_ray.cohort draft" in told
    assert len(told.splitlines()) < 12
    wide = fault(write_manifest([("a",)], tuple(f"c{i}" * 20 for i in range(99))))
    assert "and 87 more (1 rows)" in wide and len(wide) < 1500


def test_one_patient_only(write_manifest):
    assert "lists only one patient" in fault(write_manifest(VALID[:2]))


def test_no_scan(write_manifest):
    assert "lists no scan" in fault(write_manifest([]))


def test_all_faults_are_listed_at_once_twenty_of_each_kind(write_manifest):
    bad = [(f"absent{i}.mp4", "P1", "3", "?") for i in range(25)]
    lines = fault(write_manifest([*VALID, *bad])).splitlines()
    assert lines[0].endswith("50 faults")
    for kind in (lines[1:22], lines[22:]):
        assert [int(line.split()[1].strip(":")) for line in kind[:-1]] == list(range(6, 26))
        assert kind[-1] == "  and 5 more of this kind"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("file", "patient", "visit", "score"), "row 1: no column path; found: file, patient, visit, score"),
        (("path", "patient", "when", "score"), "row 1: no column visit, date or day"),
        (("path", "patient", "visit", "mmse"), "row 1: no column score"),
        (("path", "patient", "visit", "visit"), "row 1: no column score"),
        (("path", "patient", "visit", "score", "Score"), "row 1: column score occurs twice; keep one"),
    ],
)
def test_a_fault_in_the_columns(write_manifest, columns, message):
    assert message in fault(write_manifest([], columns))


def test_dates_that_contradict_or_cannot_be_read(write_manifest):
    columns = ("path", "patient", "visit", "date", "score")
    rows = [
        ("a.mp4", "P1", "1", "2024-01-01", "300"),
        ("b.mp4", "P1", "1", "2024-01-02", "300"),
        ("c.mp4", "P2", "1", "01.02.2024", "300"),
        ("d.mp4", "P2", "2", "2024-02-30", "300"),
        ("e.mp4", "P2", "3", "", "300"),
    ]
    told = fault(write_manifest(rows, columns))
    assert "row 3: date differs from that of row 2, the same visit" in told
    assert "row 4: date '01.02.2024' is not written as 2024-01-31" in told
    assert "row 5: date '2024-02-30' is not written" in told
    assert "row 6: date is empty" in told


def test_a_file_that_is_no_table(write_manifest):
    path = write_manifest()
    path.write_bytes(b"path,patient,visit,score\n\xff\xfe\n")
    assert "cannot be read as UTF-8 CSV" in fault(path)
    path.write_text('path,patient,visit,score\n"a,b\n')
    assert "cannot be read as UTF-8 CSV" in fault(path)


def sidecar(manifest, **stated):
    manifest.with_name(f"{manifest.stem}.score.json").write_text(json.dumps(stated))
    return manifest


def test_the_sidecar_states_what_the_cohort_is(write_manifest):
    path = sidecar(
        write_manifest(),
        name="ward",
        modality="ct",
        phantom=True,
        temporal=False,
        score=MMSE.to_dict() | {"name": "FVC", "unit": "ml", "high": 9000, "change_threshold": 20},
    )
    cohort = load(path, modality="lus")
    assert (cohort.name, cohort.modality, cohort.phantom, cohort.temporal) == ("ward", "ct", True, False)
    assert cohort.score.unit == "ml"
    assert cohort.pairs()["y"].tolist() == [2, 0]


def test_a_sidecar_may_name_a_score_or_change_a_part_of_it(write_manifest):
    rows = [(file, patient, visit, "20") for file, patient, visit, _ in VALID]
    assert load(sidecar(write_manifest(rows), score="MMSE"), modality="lus").score == MMSE
    cohort = load(sidecar(write_manifest(rows), score={"change_threshold": 3}), modality="mri")
    assert cohort.score.to_dict() == MMSE.to_dict() | {"change_threshold": 3}


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"phantom": "no"}, "'phantom' must be bool"),
        ({"threshold": 3}, "'threshold' is unknown; known: name"),
        ({"score": "FEV1"}, "score 'FEV1' is not known; known: S/F ratio, MMSE, severity"),
        ({"score": {"name": "FEV1"}}, "lacks change_threshold"),
        ({"score": 3}, "must be a name or an object"),
        ({"modality": "ct"}, "no score is known for modality 'ct'"),
    ],
)
def test_a_fault_in_the_sidecar(write_manifest, stated, message):
    told = fault(sidecar(write_manifest(), **stated))
    assert message in told and "manifest.score.json" in told


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_a_sidecar_that_is_no_object(write_manifest, text):
    path = write_manifest()
    path.with_name("manifest.score.json").write_text(text)
    assert "manifest.score.json" in fault(path)


def test_without_a_known_modality_the_score_must_be_stated(write_manifest):
    assert "give the modality (lus or mri), or state the score" in fault(write_manifest(), modality="")


def test_a_scan_in_several_files(write_manifest):
    columns = [*COLUMNS, "files"]
    rows = [[*row, ""] for row in VALID]
    path = write_manifest(rows[1:], columns)
    folder = path.parent / "frames"
    folder.mkdir()
    for name in ("f10.png", "f9.png", "last.png"):
        (folder / name).write_bytes(name.encode())
    first = ["frames", *VALID[0][1:], "frames/f*.png; frames/last.png"]
    path.write_text("\n".join(",".join(cells) for cells in (columns, first, *rows[1:])) + "\n")
    scans = load(path, modality="lus").scans
    assert [Path(file).name for file in scans["files"][0]] == ["f9.png", "f10.png", "last.png"]
    assert scans["scan"][0] == "frames"
    path.write_text(path.read_text().replace("last.png", "no.png"))
    assert "row 2: frames/no.png in files does not exist" in fault(path)
