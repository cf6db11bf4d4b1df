"""``learner-ray import``: says the kind, writes three files, changes nothing, is read again."""

import csv
import json

import pytest

from learner_ray.cli.main import main
from learner_ray.cohort.sources.importer import Evidence, Importer
from learner_ray.core.components import IMPORTERS
from tests.cohort.sources.run import IMAGE, plant


@pytest.fixture
def study(tmp_path):
    """A BIDS data set of two patients with two sessions, one of which has no score."""
    files = {"dataset_description.json": '{"Name": "t"}'}
    for patient, scores in (("01", (29, 25)), ("02", (30, "n/a"))):
        rows = [f"ses-M{12 * i:02}\t{score}" for i, score in enumerate(scores)]
        files[f"sub-{patient}/sub-{patient}_sessions.tsv"] = "\n".join(["session_id\tMMSE", *rows]) + "\n"
        for session in ("M00", "M12"):
            start = f"sub-{patient}/ses-{session}/anat/sub-{patient}_ses-{session}"
            files[f"{start}_T1w.nii.gz"] = IMAGE + patient.encode()
    return plant(tmp_path / "study", files)


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()
    }


def test_three_files_are_written_and_the_source_is_left_as_it_was(study, tmp_path, capsys):
    before, out = snapshot(study), tmp_path / "made" / "cohort.csv"
    assert main(["import", str(study), "--score", "MMSE", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "kind: bids (certain: dataset_description.json and 2 folders sub-*)" in said
    assert "3 scans of 2 patients have a score" in said and "next: learner-ray check" in said
    assert snapshot(study) == before
    with open(out, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["score"] for row in rows] == ["29", "25", "30"]
    assert json.loads((tmp_path / "made/cohort.score.json").read_text()) == {
        "modality": "mri",
        "score": "MMSE",
    }
    with open(tmp_path / "made/cohort-left-out.csv", newline="") as stream:
        left = list(csv.DictReader(stream))
    assert [(row["patient"], row["visit"], row["reason"]) for row in left] == [
        ("sub-02", "ses-M12", "no score: missing in sub-02_sessions.tsv, row 3")
    ]
    assert "not used" not in said, "what an import says of a row is no unknown column"


def test_paths_below_the_manifest_are_relative_and_it_can_be_moved_with_them(study, tmp_path, capsys):
    assert main(["import", "bids", str(study), "--score", "MMSE", "--out", str(study / "m.csv")]) == 0
    study.rename(tmp_path / "moved")
    capsys.readouterr()
    from learner_ray.cohort import load

    assert load(tmp_path / "moved/m.csv", modality="mri").summary()["scans"] == 3


def test_a_dry_run_shows_rows_and_writes_nothing(study, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    arguments = ["import", "bids", str(study), "--score", "MMSE", "--dry-run"]
    assert main([*arguments, "--out", str(tmp_path / "m.csv")]) == 0
    said = capsys.readouterr().out
    assert "sub-02_sessions.tsv:2" in said and "nothing was written" in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}"], "name the score in --score"),
        (["pdf", "{}"], "KIND is 'pdf'; known: adni, bids, caps"),
        (["adni", "{}"], "study is not adni, which needs folders 123_S_0001"),
        (["nowhere"], "nowhere does not exist"),
        (["a", "b", "{}"], "give a kind and a path"),
        (["{}", "--score", "MMSE", "--columns", "who=x"], "--columns who=...: no such column of a manifest"),
        (["{}", "--score", "sf", "--fio2", "a", "--flow", "b"], "give --fio2, or --flow and --device"),
        (
            ["{}", "--score", "age", "--score-range", "0,9"],
            "needs all of --score-range, --healthier and --change",
        ),
        (["{}", "--score", "MMSE", "--scores", "no.csv"], "no.csv does not exist"),
        (["{}/.."], "is of no known kind, but holds folders that are; give one of them:\n  bids: "),
    ],
)
def test_a_mistake_ends_with_2_and_its_remedy(study, tmp_path, capsys, arguments, message):
    given = [argument.format(study) for argument in arguments]
    assert main(["import", *given, "--out", str(tmp_path / "m.csv")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize("broken", ["evidence", "find", ""])
def test_an_importer_of_the_user_s_that_fails_is_told_with_its_name(study, capsys, monkeypatch, broken):
    monkeypatch.setattr(IMPORTERS, "_added", {})

    class Mine(Importer):
        name = "mine"
        needs = "anything"

        def evidence(self, path):
            return 1 / 0 if broken == "evidence" else Evidence(sure="likely", because="why not")

        def find(self, path, options, progress):
            return 1 / 0 if broken == "find" else None

    assert main(["import", "mine", str(study), "--dry-run"]) == 2
    said = "fails: ZeroDivisionError" if broken else "finds None, which is no Found"
    assert f"the importer 'mine' {said}" in capsys.readouterr().err


def test_a_manifest_that_exists_is_never_replaced(study, tmp_path, capsys):
    (tmp_path / "m.csv").write_text("mine")
    assert main(["import", str(study), "--score", "MMSE", "--out", str(tmp_path / "m.csv")]) == 2
    assert "m.csv exists: name another file in --out" in capsys.readouterr().err
    assert (tmp_path / "m.csv").read_text() == "mine"


def test_a_score_of_ones_own_is_described_in_the_sidecar(study, tmp_path):
    for table in study.rglob("*_sessions.tsv"):
        table.write_text(table.read_text().replace("MMSE", "ADAS13"))
    own = ["--score", "ADAS13", "--score-range", "0,85", "--healthier", "lower", "--change", "4"]
    assert main(["import", str(study), *own, "--out", str(tmp_path / "m.csv")]) == 0
    score = json.loads((tmp_path / "m.score.json").read_text())["score"]
    assert score == {
        "name": "ADAS13",
        "unit": "",
        "low": 0,
        "high": 85,
        "healthier": "lower",
        "change_threshold": 4,
    }


def test_a_known_score_keeps_the_change_that_the_user_states(study, tmp_path, capsys):
    own = ["--score", "MMSE", "--score-range", "0,30", "--healthier", "higher", "--change", "5"]
    assert main(["import", str(study), *own, "--out", str(tmp_path / "m.csv")]) == 0
    assert "a change of 5 or more counts" in capsys.readouterr().out


def test_what_a_sweep_would_refuse_is_said_at_once(study, tmp_path, capsys):
    for file in (study / "sub-02").rglob("*.nii.gz"):
        file.unlink()
    assert main(["import", str(study), "--score", "MMSE", "--out", str(tmp_path / "m.csv")]) == 2
    assert "lists only one patient" in capsys.readouterr().err
