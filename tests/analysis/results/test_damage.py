"""Whatever lies in a results folder in place of a table or of JSON, a sentence says so and nothing breaks."""

import json
from pathlib import Path

import pandas as pd
import pytest
from make_results import fail_runs, make_results

from analysis.building import all_tables
from analysis.figures.search import learning
from analysis.page.page import Report, html
from analysis.page.staleness import SOURCE_FILES, changed_sources, write_sources
from analysis.report import main
from analysis.results.errors import ReportError
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.captions import footnote

JUNK = {"list": b"[]", "binary": bytes(range(256)), "nothing": b"", "deep": b"[" * 100_000}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with every file that a sweep leaves."""
    folder = make_results(tmp_path_factory.mktemp("whole") / "lus", audits=1)
    fail_runs(folder, arm="mse", fold=0)
    trial = pd.read_parquet(folder / "trials.parquet").query("state == 'complete'").iloc[:1]
    columns = ["arm", "repeat", "fold", "run_hash", "state", "selection_score"]
    trial[columns].assign(seed=0).to_parquet(folder / "audits.parquet")
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy that may be damaged."""
    copy = tmp_path / "lus"
    copy.mkdir()
    for path in whole.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def problems(folder):
    """What is said of a folder when all is made of it that can be, figures apart."""
    (study,) = load([folder]).studies
    statistics = [study_statistics(study, 100)]
    tables = all_tables(statistics)
    html(Report(statistics=statistics, tables=tables, drawings=[]))
    assert study.damaged == any("damaged" in problem or "lacks" in problem for problem in study.problems)
    return study.problems


@pytest.mark.parametrize("junk", [pytest.param("list", marks=pytest.mark.long), "binary", "nothing"])
@pytest.mark.parametrize(
    "name",
    ["ledger", *(pytest.param(n, marks=pytest.mark.long) for n in ("trials", "audits", "finals")), "scores"],
)
def test_a_damaged_table_is_named(folder, name, junk):
    assert not load([folder]).studies[0].problems
    (folder / f"{name}.parquet").write_bytes(JUNK[junk])
    assert [p for p in problems(folder) if f"{name}.parquet is damaged" in p]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("ledger", "repeat", "x"), ("ledger", "seed", 0.5), ("ledger", "patient", 7),
        ("ledger", "p_same", "x"), ("ledger", "imputed", "x"), ("ledger", "change", "x"),
        ("trials", "selection_score", "x"),
        ("trials", "state", None), ("trials", "device_seconds", "x"), ("scores", "predicted", "x"),
        ("audits", "fold", None), ("finals", "arm", 3),
    ],
)  # fmt: skip
def test_a_column_that_holds_something_else_is_named(folder, name, column, value):
    table = pd.read_parquet(folder / f"{name}.parquet")
    table.assign(**{column: value}).to_parquet(folder / f"{name}.parquet")
    assert [p for p in problems(folder) if f"{name}.parquet is damaged (wrong values in {column})" in p]


@pytest.mark.parametrize("junk", [*JUNK, "null"])
def test_a_damaged_study_json_is_named(folder, junk):
    (folder / "study.json").write_bytes(JUNK.get(junk, b"null"))
    with pytest.raises(ReportError, match=r"study\.json: (cannot be read|names no arms)"):
        load([folder])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("arms", [1]), ("arms", [{"label": "x"}]), ("arms", [{"name": "a"}, {"name": "a"}]),
        ("arms", [{"name": "a", "searched": [[]]}]), ("folds", "five"), ("folds", -1), ("seeds", True),
        ("cohort", []), ("cohort", {"score": 3}), ("cohort", {"class_counts": 3}), ("base", "x"),
        ("primary_metric", "f1"), ("fixed_at", [1]), ("left_out", "x"), ("flow", 3), ("versions", "x"),
    ],
)  # fmt: skip
def test_a_value_of_study_json_that_cannot_be_is_named(folder, key, value):
    info = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(info | {key: value}))
    with pytest.raises(ReportError, match=rf"study\.json: {key}"):
        problems(folder)


@pytest.mark.parametrize("key", ["label", "primary_metric", "reference", "cohort", "folds", "protocol"])
def test_a_null_in_study_json_is_not_known(folder, key):
    info = json.loads((folder / "study.json").read_text())
    (info["arms"][0] if key == "label" else info)[key] = None
    (folder / "study.json").write_text(json.dumps(info))
    problems(folder)


@pytest.mark.parametrize(
    "junk", [pytest.param(j, marks=() if j == "binary" else pytest.mark.long) for j in JUNK]
)
def test_damaged_files_of_runs_break_nothing(folder, junk):
    trials, ledger = (pd.read_parquet(folder / f"{name}.parquet") for name in ("trials", "ledger"))
    for run in {*trials["run_hash"], *ledger["run_hash"]}:
        for name in ("config.json", "progress.jsonl"):
            path = folder.parent / "runs" / run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(JUNK[junk])
    problems(folder)
    assert learning(study_statistics(load([folder]).studies[0], 100)) is None


@pytest.mark.parametrize("name", SOURCE_FILES)
def test_every_file_that_a_report_is_made_of_is_watched(folder, tmp_path, name):
    """Seen: audits.parquet was not."""
    write_sources(load([folder]).studies, tmp_path)
    assert changed_sources(tmp_path) == []
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"other")
    assert [name in changed for changed in changed_sources(tmp_path)] == [True]


@pytest.mark.parametrize("junk", [*JUNK, "null"])
def test_a_damaged_list_of_sources_is_named(tmp_path, capsys, junk):
    (tmp_path / "sources.json").write_bytes(JUNK.get(junk, b"null"))
    assert main(["--check", str(tmp_path)]) == 2
    assert "sources.json: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("draws", ["0", "-5", "99", "100001", "1e3", "x", "²"])
def test_numbers_of_draws_that_cannot_be_are_refused(tmp_path, capsys, draws):
    """Seen: --draws 0 gave intervals of NaN, and exit code 0."""
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--draws", draws])
    assert ended.value.code == 2 and "from 100 to 100,000" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.slow
def test_a_damaged_table_and_a_file_in_the_place_of_the_report_end_with_2(folder, tmp_path, capsys):
    (folder / "scores.parquet").write_bytes(b"[]")
    assert main([str(folder), "--out", str(tmp_path / "out"), "--draws", "100"]) == 2
    assert Path(tmp_path / "out/index.html").exists(), "what can be given is given"
    (tmp_path / "file").write_text("")
    assert main([str(folder), "--out", str(tmp_path / "file"), "--draws", "100"]) == 2
    assert f"{tmp_path / 'file'}" in capsys.readouterr().err


def test_a_study_that_searched_nothing_lacks_no_trials(folder):
    """Seen: of a study with --trials 0 the report said that its search could not be summarised."""
    trials = pd.read_parquet(folder / "trials.parquet")
    trials.iloc[:0].to_parquet(folder / "trials.parquet")
    assert any("cannot be summarised" in problem for problem in load([folder]).studies[0].problems)
    info = json.loads((folder / "study.json").read_text()) | {"trials": 0}
    (folder / "study.json").write_text(json.dumps(info))
    study = load([folder]).studies[0]
    assert not any("search" in problem for problem in study.problems)
    assert "nothing was searched" in footnote(study, 50)
