"""Public data sets are recognised as distributed; what is left out is counted."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from learner_ray.cohort import MMSE, SEVERITY, SF_RATIO, load
from learner_ray.cohort.cohort import Cohort, Scan, scan_table
from learner_ray.cohort.missing import Listed
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.cohort.sources.find import layout_of, recognised
from learner_ray.cohort.sources.oasis2 import PLANES
from learner_ray.cohort.sources.tables import FIRST_ROW, left_out, read_table
from learner_ray.core.components import SOURCES
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.imaging.source import with_layout
from learner_ray.run.spec import Source
from learner_ray.run.user_code import with_code


def test_real_oasis2(shared_data):
    cohort = load(shared_data("oasis2-midslices"), modality="mri")
    assert cohort.summary() == {
        "scans": 366,
        "visits": 366,
        "patients": 150,
        "patients_with_pairs": 146,
        "pairs": 216,
        "class_counts": [43, 150, 23],
    }
    assert cohort.score == MMSE and cohort.temporal and cohort.modality == "mri"
    assert cohort.notes[1:] == (
        "5 of 373 sessions left out: lacking one of axl, cor, sag",
        "2 of 373 sessions left out: no score (row 359, 360)",
        "not used in axl, cor, sag: 10 .nii.gz",
    )
    assert cohort.pairs()["interval_days"].between(182, 1707).all()
    first = cohort.scans.iloc[0]
    assert [file.rsplit("_", 1)[1] for file in first["files"]] == ["axl.nii.gz", "cor.nii.gz", "sag.nii.gz"]


def test_the_workbook_of_real_oasis2_gives_the_same_cohort(shared_data, tmp_path):
    real = shared_data("oasis2-midslices")
    for plane in PLANES:
        (tmp_path / plane).symlink_to(real / plane)
    shutil.copy(next(real.glob("*.xlsx")), tmp_path)
    columns = ["scan", "patient", "visit", "order", "day", "score", "row"]
    scans = load(tmp_path, modality="mri").scans[columns]
    pd.testing.assert_frame_equal(scans, load(real, modality="mri").scans[columns])


def test_real_covid_blues(shared_data):
    cohort = load(shared_data("covid-blues-subset"), modality="lus")
    facts = cohort.summary()
    assert (facts["scans"], facts["visits"], facts["patients"], facts["pairs"]) == (103, 100, 17, 83)
    assert cohort.score == SEVERITY and not cohort.temporal and cohort.modality == "lus"
    severity = pd.read_csv(shared_data("covid-blues-subset") / "severity.csv").set_index("video_file")
    visits = cohort.visits().set_index(["patient", "visit"])
    twice = severity.loc[["patient_30_R2", "patient_30_R2_2"], "Severity Score"].mean()
    assert visits.loc[("patient_30", "R2"), "score"] == twice
    assert len(visits.loc[("patient_30", "R2"), "scans"]) == 2
    # The point between them was not scanned: the neighbours that were are paired.
    assert "patient_63:L1>L3" in set(cohort.pairs()["pair"])


@pytest.fixture
def oasis2(tmp_path):
    """Writes a small OASIS-2 of (session, visit, delay, MMSE) with all three planes of each."""

    def write(sessions, suffix="csv"):
        rows = [
            {"Subject ID": s[:9], "MRI ID": s, "Visit": visit, "MR Delay": day, "MMSE": mmse}
            for s, visit, day, mmse in sessions
        ]
        table = tmp_path / f"oasis_longitudinal.{suffix}"
        frame = pd.DataFrame(rows)
        frame.to_csv(table, index=False) if suffix == "csv" else frame.to_excel(table, index=False)
        for plane in PLANES:
            (tmp_path / plane).mkdir(exist_ok=True)
            for session, *_ in sessions:
                (tmp_path / plane / f"{session}_{plane}.nii.gz").write_bytes(b"")
        return tmp_path

    return write


GOOD = [("OAS2_0001_MR1", 1, 0, 30), ("OAS2_0001_MR2", 2, 400, 27), ("OAS2_0002_MR1", 1, 0, 20)]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_oasis2_without_a_plane_or_a_score(oasis2, suffix):
    folder = oasis2([*GOOD, ("OAS2_0002_MR2", 2, 9, None), ("OAS2_0003_MR1", 1, 0, 20)], suffix)
    (folder / "sag" / "OAS2_0003_MR1_sag.nii.gz").unlink()
    cohort = load(folder, modality="mri")
    assert cohort.scans["scan"].tolist() == [session for session, *_ in GOOD]
    assert cohort.scans["row"].tolist() == [2, 3, 4]
    assert any(note.startswith("1 of 5 sessions left out: lacking") for note in cohort.notes)
    assert "1 of 5 sessions left out: no score (row 5)" in cohort.notes
    assert cohort.listed is not None and cohort.listed.scans == 5 == 3 + sum(cohort.listed.left_out.values())


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (("OAS2_0001_MR2", 3, 500, 30), "row 5: OAS2_0001_MR2 is listed twice"),
        (("OAS2_0003_MR1", 1, 0, 31), "row 5: MMSE 31"),
        (("OAS2_0003_MR1", 1, 0, "29?"), "row 5: MMSE 29? is no number of 0 to 30"),
        (("OAS2_0003_MR1", "one", 0, 30), "row 5: Visit and MR Delay must be numbers"),
    ],
)
def test_a_fault_in_the_oasis2_table(oasis2, session, message):
    with pytest.raises(UserError, match=r"oasis_longitudinal\.csv") as caught:
        load(oasis2([*GOOD, session]), modality="mri")
    assert message in str(caught.value)


def test_an_oasis2_table_without_its_columns(oasis2):
    folder = oasis2(GOOD)
    table = folder / "oasis_longitudinal.csv"
    table.write_text(table.read_text().replace("MR Delay", "Delay"))
    with pytest.raises(UserError, match="no column MR Delay"):
        load(folder, modality="mri")
    table.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(UserError, match="cannot be read as a table"):
        load(folder, modality="mri")


@pytest.fixture
def covid_blues(tmp_path):
    """Writes a small COVID-BLUES of listed clips (name, severity) and clips in the folder."""

    def write(listed, clips):
        (tmp_path / "lus_videos").mkdir()
        for clip in clips:
            (tmp_path / "lus_videos" / f"{clip}.mp4").write_bytes(b"")
        lines = ["video_file,Severity Score", *(f"{name},{severity}" for name, severity in listed)]
        (tmp_path / "severity.csv").write_text("\n".join(lines) + "\n")
        return tmp_path

    return write


def test_repeated_clips_are_averaged_and_clips_without_severity_left_out(covid_blues):
    listed = [("patient_1_R1", 3), ("patient_1_L2", 1), ("patient_1_L2_2", 2), ("patient_2_L1", 0)]
    listed += [("patient_2_L2", ""), ("patient_3_L1", 1)]
    clips = [name for name, _ in listed[:-1]] + ["patient_2_L3", "calibration"]
    cohort = load(covid_blues(listed, clips), modality="lus")
    pairs = cohort.pairs()
    assert pairs["pair"].tolist() == ["patient_1:L2>R1"]
    assert (pairs["score_earlier"][0], pairs["score_later"][0], pairs["y"][0]) == (1.5, 3, 0)
    assert sorted(cohort.ratings.values()) == [0, 1, 2, 3], "what each clip was scored"
    assert cohort.notes[1:] == (
        "1 of 6 rows of severity.csv left out: no score (row 6)",
        "2 of 6 clips left out: no severity in severity.csv",
        "1 of 5 clips in severity.csv are not in lus_videos",
        "not used in lus_videos: 1 .mp4",
    )
    assert cohort.listed == Listed(scans=7, patients=3, left_out={"no severity": 2, "no such clip": 1})


@pytest.mark.parametrize(
    ("extra", "message"),
    [(("patient_1_L1", 2), "row 4: patient_1_L1 is listed twice"), (("patient_3_L1", 4), "row 4: Severity")],
)
def test_a_fault_in_the_severity_table(covid_blues, extra, message):
    listed = [("patient_1_L1", 1), ("patient_2_L1", 1), extra]
    with pytest.raises(UserError, match=message):
        load(covid_blues(listed, [name for name, _ in listed]), modality="lus")


def test_a_folder_with_one_patients_scans_is_refused(covid_blues):
    with pytest.raises(UserError, match="fewer than two patients"):
        load(covid_blues([("patient_1_L1", 1)], ["patient_1_L1"]), modality="lus")


def test_two_tables_of_sessions_must_be_one(oasis2):
    folder = oasis2(GOOD)
    table = folder / "oasis_longitudinal.csv"
    twin = folder / "oasis_longitudinal (1).csv"
    shutil.copy(table, twin)
    with pytest.raises(UserError, match=r"holds oasis_longitudinal \(1\)\.csv and oasis_longitudinal\.csv"):
        load(folder, modality="mri")
    twin.unlink()
    oasis2(GOOD, "xlsx")
    assert load(folder, modality="mri").summary()["scans"] == 3
    table.write_text(table.read_text().replace("27", "28"))
    with pytest.raises(UserError, match=r"oasis_longitudinal\.xlsx, which differ from row 3 on; keep one"):
        load(folder, modality="mri")


@pytest.mark.parametrize(
    ("session", "told"),
    [
        (("OAS2_0001_MR3", 3, 300, 27), "row 3: visit '2' comes after visit '3' in row 5 by MR Delay, but"),
        (
            ("OAS2_0001_MR3", 3, 400, 27),
            "row 5: visits '3' and '2' (row 3) of one patient have the same position in time",
        ),
        (("OAS2_0001_MR3", 3, -99999, 27), "row 3: lies 275 years after row 5, the same patient"),
        (("OAS2_001_MR3", 3, 900, 27), "row 5: patient 'OAS2_001_' and 'OAS2_0001' in row 2 look like one"),
    ],
)
def test_delay_and_visit_must_agree(oasis2, session, told):
    with pytest.raises(UserError) as caught:
        load(oasis2([*GOOD, session]), modality="mri")
    assert told in str(caught.value)


def test_a_slice_that_is_there_twice(oasis2):
    folder = oasis2(GOOD)
    (folder / "cor" / "OAS2_0001_MR2_cor.nii").write_bytes(b"")
    with pytest.raises(UserError, match=r"OAS2_0001_MR2_cor\.nii\.gz and OAS2_0001_MR2_cor\.nii are two"):
        load(folder, modality="mri")


def test_two_clips_of_one_name(covid_blues):
    listed = [("patient_1_L1", 1), ("patient_2_L1", 1)]
    folder = covid_blues(listed, [name for name, _ in listed])
    (folder / "lus_videos" / "patient_1_L1.avi").write_bytes(b"")
    with pytest.raises(UserError, match=r"patient_1_L1\.avi and patient_1_L1\.mp4 are two clips of one name"):
        load(folder, modality="lus")


def test_counts_are_of_what_there_is(covid_blues):
    """A clip with another spelling of its suffix once made "-2 of 9 clips"."""
    listed = [("patient_1_L1", 1), ("patient_2_L1", 1), ("patient_1_L9", 1)]
    folder = covid_blues(listed, ["patient_1_L1", "patient_2_L1", "patient_1_L9"])
    (folder / "lus_videos" / "readme.txt").write_text("")
    cohort = load(folder, modality="lus")
    assert cohort.notes[1:] == (
        "1 of 3 clips in severity.csv are not in lus_videos",
        "not used in lus_videos: 1 .mp4, 1 .txt",
    )


class OneFolderPerPatient(SourceLayout):
    """A user's own: ``P01/1.png`` and ``scores.csv``, whose rows are patient, visit and score."""

    name = "per_patient"
    needs = "scores.csv and a folder per patient"

    def recognises(self, folder):
        return (folder / "scores.csv").is_file() and not (folder / "manifest.csv").exists()

    def read(self, folder, missing=()):
        table = read_table(folder / "scores.csv", ("patient", "visit", "score"))
        rows = [row for row in table.itertuples() if row.score not in missing]
        scans = [
            Scan(
                scan=f"{row.patient}/{row.visit}",
                files=(str(folder / row.patient / f"{row.visit}.png"),),
                patient=row.patient,
                visit=row.visit,
                order=float(row.visit),
                score=float(row.score),
                source=str(folder / "scores.csv"),
                row=row.Index + FIRST_ROW,
            )
            for row in rows
        ]
        notes = left_out(len(table) - len(rows), len(table), "rows left out: no score")
        return Cohort(name="own", modality="lus", score=SF_RATIO, scans=scan_table(scans), notes=tuple(notes))


def _write_own(folder):
    for patient in ("P01", "P02"):
        (folder / patient).mkdir(parents=True)
        for visit in (1, 2):
            (folder / patient / f"{visit}.png").write_bytes(b"")
    lines = ["P01,1,300", "P01,2,350", "P02,1,200", "P02,2,-9"]
    (folder / "scores.csv").write_text("\n".join(["patient,visit,score", *lines]) + "\n")


def _write_covid_blues(folder):
    (folder / "lus_videos").mkdir()
    clips = ["patient_1_R1", "patient_1_L1", "patient_2_R1", "patient_2_L1"]
    for clip in clips:
        (folder / "lus_videos" / f"{clip}.mp4").write_bytes(b"")
    lines = [f"{clip},{severity}" for clip, severity in zip(clips, (1, 2, 0, -9), strict=True)]
    (folder / "severity.csv").write_text("\n".join(["video_file,Severity Score", *lines]) + "\n")


def _write_oasis2(folder):
    rows = [("OAS2_0001", 1, 0, 30), ("OAS2_0001", 2, 400, 28), ("OAS2_0002", 1, 0, 29)]
    rows.append(("OAS2_0002", 2, 500, -9))
    lines = []
    for subject, visit, delay, mmse in rows:
        lines.append(f"{subject},{subject}_MR{visit},{visit},{delay},{mmse}")
        for plane in PLANES:
            (folder / plane).mkdir(exist_ok=True)
            (folder / plane / f"{subject}_MR{visit}_{plane}.nii.gz").write_bytes(b"")
    table = ["Subject ID,MRI ID,Visit,MR Delay,MMSE", *lines]
    (folder / "oasis_longitudinal.csv").write_text("\n".join(table) + "\n")


WRITERS = {"covid-blues": _write_covid_blues, "oasis2": _write_oasis2, "per_patient": _write_own}


@pytest.mark.parametrize("name", [*SOURCES.built_in, "per_patient"])
def test_every_source_is_recognised_alone_and_reads_a_whole_cohort(tmp_path, name):
    folder, empty = tmp_path / "data", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    WRITERS[name](folder)
    assert list(recognised(folder)) == [name] and list(recognised(empty)) == []
    assert layout_of(name).needs in about(empty)

    cohort = load(folder, modality="lus", missing=("-9",))
    assert len(cohort.scans) == 3 and len(cohort.pairs()) == 1
    assert any("no score" in note for note in cohort.notes)
    assert all(
        Path(file).is_absolute() and Path(file).exists() for files in cohort.scans["files"] for file in files
    )
    assert cohort.scans["score"].between(cohort.score.low, cohort.score.high).all()
    again = load(folder, format=name, modality="lus", missing=("-9",))
    pd.testing.assert_frame_equal(again.scans, cohort.scans)


def about(folder):
    with pytest.raises(UserError) as caught:
        load(folder, modality="lus")
    return str(caught.value)


def test_a_source_that_fails_is_told_with_its_name(tmp_path):
    _write_own(tmp_path)
    (tmp_path / "scores.csv").write_text("patient,visit,score\nP01,first,300\n")
    with pytest.raises(UserError, match="the source 'per_patient' fails: ValueError"):
        load(tmp_path, modality="lus")


def test_a_user_s_own_source_names_itself_to_the_processes_that_train(tmp_path):
    """They recognise nothing: they are told the name, and the study file that defines it."""
    _write_own(tmp_path)
    source = with_layout(Source(path=str(tmp_path), missing=("-9",)))
    assert source.format == "per_patient"
    planned = with_code(source, Config(), "/study.py")
    assert planned.study_file == "/study.py" and planned.components == ()
    with pytest.raises(UserError, match="the source 'per_patient' is defined in a script or notebook"):
        with_code(source, Config(), "")
