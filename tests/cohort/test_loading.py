"""A path is recognised, or the message says what was looked for; ``check`` prints what is found."""

import subprocess
import sys

import pytest

from learner_ray.cli.cohort import report
from learner_ray.cohort import load
from learner_ray.core.errors import UserError


def test_a_folder_with_a_manifest_is_the_manifest(write_manifest):
    manifest = write_manifest(name="manifest.tsv", separator="\t")
    cohort = load(manifest.parent, modality="lus")
    assert cohort.hash == load(manifest, format="manifest", modality="lus").hash
    assert cohort.name == manifest.parent.name


@pytest.mark.parametrize(
    ("make", "format", "message"),
    [
        (lambda p: p / "absent", None, "absent does not exist; give a manifest"),
        (
            lambda p: p,
            None,
            "is not recognised.\nFound: no file\nLooked for:\n  manifest: manifest.csv or manifest.tsv\n",
        ),
        (lambda p: p, "manifest", "holds no manifest.csv or manifest.tsv"),
        (lambda p: p, "oasis2", "is not in the layout oasis2, which needs axl/"),
        (lambda p: p, "dicom", "--format dicom is unknown; known: manifest, covid-blues, oasis2"),
    ],
)
def test_a_path_that_is_not_recognised(tmp_path, make, format, message):
    with pytest.raises(UserError) as caught:
        load(make(tmp_path), format=format, modality="lus")
    assert message in str(caught.value)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "scans.json").write_text("{}")
    with pytest.raises(UserError, match=r"is no manifest; a manifest is a table with the suffix \.csv or"):
        load(tmp_path / "scans.json", modality="lus")


def test_two_manifests_in_one_folder(write_manifest):
    write_manifest(name="manifest.tsv", separator="\t")
    with pytest.raises(UserError, match=r"both manifest\.csv and manifest\.tsv; give the path of one"):
        load(write_manifest().parent, modality="lus")


def test_the_report_has_counts_notes_and_warnings(write_manifest):
    printed = report(load(write_manifest(), modality="lus"))
    assert "4 scans, 4 visits, 2 patients" in printed
    assert "better     1 pairs in 1 patients" in printed
    assert "worse      0 pairs in 0 patients" in printed
    assert printed.count("warning: ") == 3


def test_the_report_warns_of_no_class_that_twenty_patients_have(write_manifest):
    rows = [(f"{p}-{v}.mp4", f"P{p}", str(v), str(300 + 25 * v)) for p in range(20) for v in (1, 2)]
    printed = report(load(write_manifest(rows), modality="lus"))
    assert "class 'better'" not in printed and "class 'worse'" in printed


def test_check_exits_with_2_and_a_message_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "learner_ray.cohort", "check", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "is not recognised" in ended.stderr and "Traceback" not in ended.stderr
