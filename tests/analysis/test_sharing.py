"""What is handed out names no patient, no scan and no folder, and holds no frame."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from make_results import make_results

from analysis.report import main
from analysis.results.load import load
from analysis.sharing import shareable_study, without_folders

FRAME = b"the pixels of a patient's scan"
BAD = "/data/hospital/manifest.csv, row 7: /data/hospital/MUSTER_ANNA_1956.mp4 is empty"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose patients have ids as the ledger writes them, which left a scan out."""
    folder = make_results(tmp_path_factory.mktemp("results") / "lus")
    path = folder / "study.json"
    info = json.loads(path.read_text())
    (folder / "explanations").mkdir()
    (folder / "explanations" / "pair-1.png").write_bytes(FRAME)
    run = load([folder]).studies[0].ledger["run_hash"][0]
    picture = {
        "file": "pair-1.png",
        "pair": "p0001:1>2",
        "true": "worse",
        "predicted": "same",
        "largest": 0.1,
    }
    picture |= {"probability": 0.6, "score_earlier": 300.0, "score_later": 250.0}
    index = {"run_hash": run, "phantom": True, "response": "p(better) - p(worse)", "pictures": [picture]}
    (folder / "explanations" / "explanations.json").write_text(json.dumps(index))
    command = "python -m learner_ray.sweep lus --data /data/hospital/manifest.csv"
    path.write_text(json.dumps({**info, "left_out": [BAD], "command": command}))
    return folder


def held(folder: Path) -> dict[str, str]:
    """The text of every file below a folder, by its path from there; of one that is no text, its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes().decode("latin-1") for path in files}


@pytest.mark.slow
def test_what_is_handed_out_names_no_patient_and_no_scan(results: Path, tmp_path: Path) -> None:
    for name, options in (("full", []), ("shared", ["--share"])):
        assert main([str(results), "--out", str(tmp_path / name), "--draws", "200", *options]) == 0
    full, shared = held(tmp_path / "full"), held(tmp_path / "shared")
    study = load([results]).studies[0]
    names = {*study.ledger["patient"], *study.ledger["pair"], *study.scores["scan"].astype(str)}
    secret = [name for name in names if len(name) > 3] + [
        "MUSTER_ANNA",
        "/data/hospital",
        str(results.parent),
    ]
    assert not any(name in "".join(full.values()) for name in study.ledger["patient"].unique()), (
        "nor the full"
    )
    found = {(path, name) for path, text in shared.items() for name in secret if name in text}
    assert not found

    assert {Path(path).suffix for path in shared} == {".html", ".csv", ".txt"}
    page = shared["index.html"]
    frame = base64.b64encode(FRAME).decode()
    assert frame in full["index.html"] and "worse, called same with probability 0.60" in full["index.html"]
    assert not [path for path, text in shared.items() if frame in text or FRAME.decode() in text]
    assert "<img" not in page and "Explained pairs" not in page
    assert "1 note in the results folder, not handed out" in page and "--data PATH" in page
    assert "far_errors.csv" in "".join(full) and "far_errors" not in "".join(shared)
    assert "There is no\nrow, point or picture of a single patient" in shared["WHAT-IS-IN-IT.txt"]
    figure = pd.read_csv(tmp_path / "shared" / "figures" / "distance-lus.csv")
    assert len(figure) and not {"patient", "pair"} & {*figure.columns}
    assert shared["tables/headline.csv"] == full["tables/headline.csv"], "the statistics are the same"


@pytest.mark.slow
def test_errors_are_told_by_their_kind(results: Path) -> None:
    study = load([results]).studies[0]
    told = {
        "UserError: /data/MUSTER_ANNA.mp4 cannot be read": "UserError",
        "MUSTER_ANNA.mp4 is gone": "reason not handed out",
        "": "",
    }
    runs = pd.DataFrame({"error": [*told]})
    shown = shareable_study(replace(study, trials=runs, finals=runs))
    assert shown.trials["error"].tolist() == shown.finals["error"].tolist() == [*told.values()]


@pytest.mark.slow
def test_a_folder_that_holds_something_is_not_handed_out(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "frame.png").write_bytes(b"x")
    looks = sorted((results / "looks").glob("*"))
    assert main([str(results), "--out", str(tmp_path), "--share"]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["frame.png"]
    assert sorted((results / "looks").glob("*")) == looks, "refused before a look"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--data /home/anna/x/manifest.csv --out ~/r/lus", "--data .../manifest.csv --out .../lus"),
        ("fault in '/a/b c/d.csv'", "fault in '.../b c/d.csv'"),
        ("<td>1/2</td> and/or 3 / 4; a/b; </p>", "<td>1/2</td> and/or 3 / 4; a/b; </p>"),
        ('<a href="#x">https://doi.org/10.1/x</a>', '<a href="#x">https://doi.org/10.1/x</a>'),
    ],
)
def test_paths_keep_their_last_part_alone(text: str, shown: str) -> None:
    assert without_folders(text) == shown
