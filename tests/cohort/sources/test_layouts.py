"""The trees kept beside the repository, of the form of ADNI, BIDS, CAPS and OASIS-2: their rows, by hand."""

import tarfile
from collections import Counter

import pytest

from learner_ray.cohort import SF_RATIO, Cohort
from learner_ray.cohort.cohort import Scan, scan_table
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.cohort.sources.importer import ImportOptions
from learner_ray.cohort.sources.layout_importer import found_in
from learner_ray.core.components import SOURCES
from learner_ray.core.errors import UserError
from tests.cohort.sources.run import cells, imported, reasons


@pytest.fixture
def unpacked(shared_data, tmp_path):
    """Unpacks one of the trees."""

    def unpack(name):
        with tarfile.open(shared_data("odd") / "layouts" / f"{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
        return tmp_path

    return unpack


def test_adni(unpacked):
    result = imported(unpacked("adni_like") / "adni")
    assert len(result.rows) == 33 and {row["score_rule"] for row in result.rows} == {"scan"}
    assert cells(result, "patient", "visit", "day", "score")[8:10] == [
        ("011_S_0100", "m00", "0", "30"),
        ("011_S_0100", "m24", "730", "18"),
    ]
    # Their MMSE is empty in ADNIMERGE.
    assert sorted(name.rpartition("_")[2] for name in reasons(result)) == [
        "I45002.nii",
        "I45022.nii",
        "I45042.nii",
    ]


def test_bids_and_caps(unpacked):
    folder = unpacked("bids_caps_like")
    # The date of M012 is that of M000 in every table.
    with pytest.raises(UserError, match="ses-M000 and ses-M012 are both at 2006-01-01"):
        imported(folder / "bids", score="MMSE")
    by_age = imported(folder / "bids", score="MMSE", time_from="age")
    caps = imported(folder / "caps", score="MMSE", time_from="age", bids=folder / "bids")
    assert len(by_age.rows) == 29
    columns = ("patient", "visit", "day", "score")
    assert cells(by_age, *columns) == cells(caps, *columns)
    assert Counter(cells(by_age, "day")) == {("0",): 10, ("182.625",): 9, ("365.25",): 10}
    missing = "no score: missing in sub-ADNI003S0003_sessions.tsv, row 3"
    assert [*reasons(by_age).values()] == [*reasons(caps).values()] == [missing]


def test_oasis2_as_distributed(unpacked):
    result = imported(unpacked("oasis2_as_distributed") / "oasis2raw")
    assert cells(result, "path", "visit", "day", "score") == [
        ("mpr-1.nifti.img", "1", "0", "27"),
        ("mpr-1.nifti.img", "2", "457", "30"),
    ]
    assert Counter(reasons(result).values()) == {"the session has no image on disk": 371}


def test_what_a_layout_says_of_a_scan_is_in_the_import(tmp_path, monkeypatch):
    monkeypatch.setattr(SOURCES, "_added", {})
    said = {"site": "A", "spo2": 91.5, "crop": "0,0,9,9", "mask": str(tmp_path / "m.png")}

    class Mine(SourceLayout):
        name = "mine"
        needs = "anything"

        def recognises(self, folder):
            return True

        def read(self, folder, missing=()):
            scan = {"files": ("a.png",), "patient": "P", "visit": "1", "order": 1.0, "score": 300.0}
            scans = scan_table([Scan(scan="a", **scan, **said, source="s.csv", row=2)])
            return Cohort(name="own", modality="lus", score=SF_RATIO, scans=scans)

    [scan] = found_in(Mine(), tmp_path, ImportOptions()).scans
    assert {**scan.more, "mask": str(scan.mask)} == {**said, "spo2": "91.5"}
