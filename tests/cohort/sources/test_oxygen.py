"""The S/F ratio from records: units said, values out of range refused, unknown devices left out."""

import pytest

from learner_ray.cohort.sources.oxygen import estimated_fio2
from learner_ray.core.errors import UserError
from tests.cohort.sources.run import cells, imported, plant, reasons

CLIPS = """path,patient,date
a.mp4,P1,2024-01-31T08:00
b.mp4,P1,2024-02-02T08:00
c.mp4,P2,2024-01-31T08:00
"""
RECORDS = """patient;date;sat;o2
P1;2024-01-31T09:00;96;40
P1;2024-01-31T12:00;90;0,5
P1;2024-02-02T07:00;98;0.21
P2;2024-01-31T20:00;92;0.3
"""


def found(tmp_path, records=RECORDS, **said):
    clips = dict.fromkeys(["a.mp4", "b.mp4", "c.mp4"], b"x")
    plant(tmp_path, {"clips.csv": CLIPS, "records.csv": records, **clips})
    scores = tmp_path / "records.csv"
    return imported(tmp_path / "clips.csv", scores=scores, score="sf", modality="lus", **said)


def test_the_nearest_record_within_six_hours(tmp_path):
    result = found(tmp_path, spo2="sat", fio2="o2")
    assert cells(result, "path", "score", "spo2", "flag", "score_days", "score_row") == [
        ("a.mp4", "240", "96", "", "0.04167", "records.csv:2"),
        ("b.mp4", "466.6666667", "98", "SpO2 above 97 %", "-0.04167", "records.csv:4"),
    ]
    assert reasons(result) == {"c.mp4": "no score: the nearest (row 5) is 0.5 days away, more than 0.25"}
    assert "FiO2: o2 holds 1 cells in per cent and 3 cells as fractions" in result.notes
    assert result.sidecar["score"] == "S/F ratio"


def test_ratios_that_a_table_holds_already_are_as_near_as_those_that_are_made(tmp_path):
    clips, scores = {"a.mp4": b"x", "clips.csv": CLIPS}, "patient,date,S/F ratio\nP1,2024-01-31T15:00,300\n"
    plant(tmp_path, {**clips, "scores.csv": scores})
    said = {"scores": tmp_path / "scores.csv", "score": "S/F ratio", "modality": "lus"}
    assert reasons(imported(tmp_path / "clips.csv", **said))["a.mp4"].endswith("days away, more than 0.25")
    assert len(imported(tmp_path / "clips.csv", window=1, **said).rows) == 1


@pytest.mark.parametrize("bad", ["0.2", "15", "101", "x"])
def test_a_fraction_out_of_range_is_refused_by_row(tmp_path, bad):
    records = RECORDS.replace("0,5", bad)
    with pytest.raises(UserError, match=rf"row 3: o2 '{bad}' is not 0\.21 to 1, or 21 to 100 %"):
        found(tmp_path, records, spo2="sat", fio2="o2")


def test_a_saturation_out_of_range_is_refused_unless_named_missing(tmp_path):
    records = RECORDS.replace("92", "90-92")
    with pytest.raises(UserError, match="row 5: sat '90-92' is not from 30"):
        found(tmp_path, records, spo2="sat", fio2="o2")
    result = found(tmp_path, records, spo2="sat", fio2="o2", columns={}, missing=("90-92",))
    assert reasons(result)["c.mp4"].startswith("no score")


def test_flow_and_device(tmp_path):
    records = """patient,date,sat,flow,given
P1,2024-01-31T09:00,96,2,nasal cannula
P1,2024-02-02T07:00,90,10,mask with reservoir
P2,2024-01-31T09:00,92,40,High-flow nasal cannula
"""
    result = found(tmp_path, records, spo2="sat", flow="flow", device="given")
    assert cells(result, "path", "score") == [("a.mp4", f"{96 / 0.28:.10g}"), ("b.mp4", f"{90 / 0.95:.10g}")]
    assert reasons(result) == {
        "records.csv, row 4": "device 'High-flow nasal cannula': its FiO2 is set and does not follow from "
        "the flow; record it and give --fio2",
        "c.mp4": "no score: missing in records.csv, row 4",
    }


def test_what_the_oxygen_is_given_by_is_no_scanner(tmp_path):
    one = "path,patient,date,sat,flow,device\na.mp4,P1,2024-01-31,96,2,nasal cannula\n"
    plant(tmp_path, {"a.mp4": b"x", "one.csv": one})
    said = {"score": "sf", "modality": "lus", "spo2": "sat", "flow": "flow", "device": "device"}
    assert cells(imported(tmp_path / "one.csv", **said), "device") == [("",)]
    clips = "path,patient,date,device\na.mp4,P1,2024-01-31,Probe 3\n"
    records = "patient,date,sat,flow,device\nP1,2024-01-31,96,2,nasal cannula\n"
    plant(tmp_path, {"clips.csv": clips, "records.csv": records})
    result = imported(tmp_path / "clips.csv", scores=tmp_path / "records.csv", **said)
    assert cells(result, "device") == [("Probe 3",)], "a table of scans has a column of that name too"


@pytest.mark.parametrize(
    ("device", "flow", "fio2"),
    [
        ("room air", None, 0.21),
        ("RA", 0, 0.21),
        ("O2-Brille", 2, 0.28),
        ("Maske mit Reservoir", 8, 0.80),
        ("Nasal-Cannula", 1, 0.24),
        ("nc", 6, 0.44),
        ("cannula", 0.1, 0.21),
        ("face mask", 5, 0.40),
        ("simple mask", 6.5, 0.50),
        ("mask", 8, 0.60),
        ("Non-rebreather mask", 8, 0.80),
        ("NRB", 9.5, 0.90),
        ("reservoir mask", 15, 0.95),
    ],
)
def test_the_table_of_devices(device, flow, fio2):
    assert estimated_fio2(device, flow) == pytest.approx(fio2)


@pytest.mark.parametrize(
    ("device", "flow", "why"),
    [
        ("room air", 2, "contradict"),
        ("nasal cannula", 8, "outside the table"),
        ("mask", 2, "outside the table"),
        ("mask", None, "without a flow"),
        ("Venturi 35 %", 8, "is set"),
        ("helmet", 8, "is not known; known: room air"),
    ],
)
def test_what_no_table_tells(device, flow, why):
    assert why in str(estimated_fio2(device, flow))


def test_the_columns_must_be_named(tmp_path):
    with pytest.raises(UserError, match="--score sf needs --spo2 COLUMN, and either --fio2 COLUMN or --flow"):
        found(tmp_path)


def test_a_scan_whose_nearest_record_has_no_ratio_says_so(tmp_path):
    """A record of a device that is set counts for nothing, and what stands in for it is named."""
    records = RECORDS.replace("date;sat;o2", "date;SpO2 (%);Device;Flow").replace(
        ";96;40", ";96;High-Flow;40"
    )
    records = records.replace("90;0,5", "90;O2-Brille;2").replace("98;0.21", "98;Maske mit Reservoir;8")
    records = records.replace("2024-01-31T20:00;92;0.3", "2024-01-31T09:00;92;HFNC;40")
    result = found(tmp_path, records, spo2="SpO2", flow="flow", device="device")
    assert cells(result, "path", "score", "score_row") == [
        ("a.mp4", "321.4285714", "records.csv:3"),
        ("b.mp4", "122.5", "records.csv:4"),
    ]
    said = "1 scans have a score though a nearer row of the patient holds none or was left out: records.csv:2"
    assert said in result.notes
    assert reasons(result)["c.mp4"] == "no score: missing in records.csv, row 5"


def test_all_that_a_table_of_records_lacks_is_said_at_once(tmp_path):
    records = RECORDS.replace("patient;date;sat;o2", "Case;When;SpO2 (%);o2")
    with pytest.raises(
        UserError, match=r"(?s)hold the patient.*to which visit.*--flow Fl: no such.*found: C"
    ):
        found(tmp_path, records, spo2="SpO2", flow="Fl", device="o2")
